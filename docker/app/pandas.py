"""Stands in the way of a pandas that is installed for the tests: the images have none, and pyarrow
loads it wherever it can be loaded, which takes a stage of the rehearsal a third of a second.
"""

raise ImportError("the images hold no pandas")

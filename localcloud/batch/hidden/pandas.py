"""Stands before the real pandas on the path of a job, because no image has it.

A stage that imports it fails here as it would on AWS. And pyarrow, which looks for pandas with the
first array that it makes, does not load it into every process: that took a third of a second.
"""

raise ModuleNotFoundError("no image has pandas", name="pandas")

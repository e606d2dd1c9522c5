"""The profile of a table: mathematics, storage, drift.

Needs NumPy alone, so that the postprocess stage can use all of it.
"""

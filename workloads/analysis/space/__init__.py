"""From the profile to the space in which rows are compared: which columns, in what units, and how
they vary together.

Always NumPy on the host, whatever computes the rest: d x d numbers cost nothing, and GPU and CPU
runs share every bit of them.
"""

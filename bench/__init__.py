"""One script for each claim; each prints a table, with a peer or a physical limit measured in the
same run.
"""

"""`doctor` and `drift`: the health of a deployed stack, and what differs between it and the
program.
"""

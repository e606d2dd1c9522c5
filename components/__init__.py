"""The parts of the stack: one file, one args class, one component.

Knows no workload code but the data contract.
"""

"""Linters that others wrote, over what the stacks make: `make referees`.

Their packages live in an environment of their own.
"""

"""What survives the end of an attempt: objects keyed by data, and one small object, written last,
that says which of them count.
"""

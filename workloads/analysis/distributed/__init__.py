"""Who works on what, and how blocks get there.

Nothing here can change a result, only when it is there.
"""

"""Exact distances to the k-th nearest neighbour, for every row (`full`) or for the N most remote
rows (`top`).

Pure arithmetic: nothing here knows ranks, storage or checkpoints. The final numbers depend on pairs
of rows alone (`exact`), so that tiles, threads, ranks and the order in which pairs of units are
worked through cannot change a bit of them.
"""

"""Starts one MPI job over the nodes of a Batch multi-node job without ssh.

Every node runs `python -m workloads.analysis`. Children dial the main node, both sides prove that
they know the job's token, and the connection stays open: it carries the one command by which mpirun
starts its daemon on the child, and its end tells that a node is gone. AWS Batch itself does nothing
when a child fails, so the main node has to notice.
"""

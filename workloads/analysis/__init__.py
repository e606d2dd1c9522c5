"""The analysis stage: what the day's table looks like, on any number of ranks, with one answer.

`python -m workloads.analysis` runs on every node of the job (package `launch`) and starts
`workloads.analysis.program` as MPI ranks. Package `profile` holds the mathematics and what the
postprocess stage needs; it imports neither mpi4py nor CuPy.
"""

"""How blocks of rows travel between ranks: MPI from host memory, CUDA-aware MPI, NCCL."""

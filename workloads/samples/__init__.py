"""A real table to try the pipeline on, and a generator of tables of any size."""

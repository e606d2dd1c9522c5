"""`why`: what keeps a run, a job or a queue from going on, or what ended it, asked of AWS alone."""

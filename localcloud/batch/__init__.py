"""AWS Batch: its API, its scheduler, and its jobs as processes of this machine."""

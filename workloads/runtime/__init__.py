"""What the stages share when they run as Batch jobs: environment, logs, S3, and how a stage
ends.
"""

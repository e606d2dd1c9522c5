"""The rehearsal: an in-memory AWS in which the unmodified program deploys and its jobs and
functions really run.
"""

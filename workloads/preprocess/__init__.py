"""Cleans an uploaded CSV file into a table of analysis units; `python -m workloads.preprocess`."""

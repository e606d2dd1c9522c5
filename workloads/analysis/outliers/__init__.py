"""The search for outliers: farthest rows or a score for each, and what it leaves behind."""

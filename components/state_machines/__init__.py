"""State machines: of a run, and of the daily look."""

"""Comes first on a job's path, and hides packages of this machine that no image has."""

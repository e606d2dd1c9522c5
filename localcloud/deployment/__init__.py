"""Deployment without the Pulumi CLI: engine, provider, stack files."""

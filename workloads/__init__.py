"""What runs in containers and Lambda functions."""

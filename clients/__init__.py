"""Third-party clients against the AWS in memory, each in an environment of its own: `make
clients`.
"""

"""CloudWatch Logs Insights: saved queries, and the part of its language that they and the people
around them use.
"""

"""The last stage: merges what the analysis left, stores the findings, writes the report, tells
Slack.
"""

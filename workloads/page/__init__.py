"""The page of all runs: `index.html` in the results bucket, one page a month beside it.

A file of HTML that needs no server and nothing of the network: style, script, pictures and figures
stand in it. Whatever ends a run writes it anew from the metrics table (`writing`), and `batchref
ui` serves the same for a person at work. The standard library and boto3 alone, for the Lambda
functions carry it.
"""

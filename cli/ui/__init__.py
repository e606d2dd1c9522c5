"""`ui`: the page of runs, served to the browser of this machine alone, refreshing itself, with the
log of each run.
"""

"""A run of the analysis, over the whole table or one shard of it: plan, stages in order, what they
leave.
"""

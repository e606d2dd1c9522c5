"""The Lambda functions of the pipeline: they carry the standard library, boto3 and
workloads.contract only.
"""

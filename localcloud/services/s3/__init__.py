"""What stands between S3's calls and moto: bodies that arrive in pieces and are checked, objects
that lie on disk.
"""

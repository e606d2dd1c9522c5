"""What meets a call first: the port, its doors, keys, and what is put right or refused before
moto.
"""

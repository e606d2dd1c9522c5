"""The wire protocols and signatures of AWS, from the side of the server."""

"""Services of AWS, or those parts of them, that moto lacks."""

"""Certificates and the Secrets that hold them, whoever serves them."""

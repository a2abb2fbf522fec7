"""cert-manager: why a certificate is not there, or not renewed."""

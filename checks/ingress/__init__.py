"""Ingress, whichever controller serves it."""

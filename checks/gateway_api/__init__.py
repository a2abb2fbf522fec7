"""Checks of Gateway API resources, whoever implements them."""

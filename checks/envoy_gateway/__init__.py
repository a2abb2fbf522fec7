"""Checks of the resources of Envoy Gateway."""

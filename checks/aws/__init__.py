"""Checks of AWS load balancers in front of a gateway."""

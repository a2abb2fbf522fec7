"""Joins: each one controller's own rule, computed once a scan, with a link to its source."""

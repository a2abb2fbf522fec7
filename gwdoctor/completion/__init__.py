"""Completion for bash, zsh, fish and kubectl: the words typed so far in, candidates out.

It runs at every press of a key, so nothing here imports typer, the checks or a client: the
commands come from a table that `make docs` writes, the checks from the names of their files.
"""

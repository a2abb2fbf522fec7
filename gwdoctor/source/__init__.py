"""Where resources come from: the API server, files, a snapshot. The only code that does I/O."""

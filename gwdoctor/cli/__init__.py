"""The command line. It parses, calls and prints; it decides nothing."""

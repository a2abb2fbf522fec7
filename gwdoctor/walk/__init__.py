"""The walk of one request, hop by hop, over every system that may take it."""

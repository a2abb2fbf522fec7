"""Where a report goes besides stdout, and what is new in it. Pure: `source` does what is sent."""

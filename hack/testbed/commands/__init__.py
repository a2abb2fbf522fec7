"""What the scripts of hack/ do, one module each."""

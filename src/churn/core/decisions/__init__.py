"""What people act on: reasons, what-ifs, the list of whom to call."""

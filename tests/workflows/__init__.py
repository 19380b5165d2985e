"""The workflows as GitHub would run them, on this machine: expressions, jobs, steps."""

"""The customer table as it comes: its declaration drafted, checked, typed; derived features; leaks."""

"""The prediction log (SQL), windows of it, and outcomes."""

"""Churn prediction, from a raw customer table to a monitored model behind an API."""

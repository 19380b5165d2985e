"""The feature store (Feast)."""

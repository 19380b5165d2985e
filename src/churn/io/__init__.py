"""The outside world: registry (MLflow), feature store (Feast) and the catalog's own datasets."""

"""Results that are a file and part of an MLflow run."""

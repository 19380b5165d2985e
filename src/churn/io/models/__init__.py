"""The model registry (MLflow): versions, aliases, and how the champion moves."""

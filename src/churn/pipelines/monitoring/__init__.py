"""Compare the customers of today with those that the model was trained on."""

from churn.pipelines.monitoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]

"""Raw customer table to checked, typed and split customers and their features."""

from churn.pipelines.data_processing.pipeline import create_pipeline

__all__ = ["create_pipeline"]

"""Write a table of generated customers, with the true churn probability of each, for whoever has no table yet."""

from churn.pipelines.sample_data.pipeline import create_pipeline

__all__ = ["create_pipeline"]

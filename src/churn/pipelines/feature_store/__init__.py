"""Feature store: register the declared features, fill the online store, check what it answers."""

from churn.pipelines.feature_store.pipeline import create_pipeline

__all__ = ["create_pipeline"]

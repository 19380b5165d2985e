"""Train a challenger and a baseline on point-in-time features; register the challenger as Staging."""

from churn.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]

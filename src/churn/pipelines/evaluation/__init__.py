"""Compare the challenger with the champion on the test customers, report, decide, and promote or not."""

from churn.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]

"""Score every customer with the champion, and list those worth contacting, with the reasons."""

from churn.pipelines.scoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]

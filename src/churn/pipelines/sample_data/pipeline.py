"""Knobs -> sample table."""

from kedro.pipeline import Pipeline, node

from churn.pipelines.sample_data.nodes import draw_sample


def create_pipeline() -> Pipeline:
    """One node: the catalog writes the table, the truth and the note beside it."""
    return Pipeline([node(draw_sample, "params:sample_data", "sample_customers", name="draw_sample")])

"""Training and test rows -> drift summary and report."""

from kedro.pipeline import Pipeline, node

from churn.pipelines.monitoring.nodes import compare_frames, render_drift


def create_pipeline() -> Pipeline:
    """The verdict first, then the page that shows it."""
    frames = ["training_frame", "test_frame", "params:customers", "params:monitoring"]
    return Pipeline(
        [
            node(compare_frames, frames, "drift_summary", name="compare_frames"),
            node(render_drift, [*frames, "drift_summary"], "drift_report", name="render_drift"),
        ]
    )

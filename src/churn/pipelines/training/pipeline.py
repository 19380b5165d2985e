"""The training pipeline."""

from kedro.pipeline import Node, Pipeline

from churn.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Entity rows -> point-in-time features -> challenger and baseline -> registry."""
    return Pipeline(
        [
            Node(
                nodes.entity_rows,
                ["customers@labels", "customers@fingerprint", "data_summary", "feature_definitions", "params:customers"],
                "historical_features",
                name="entity_rows",
            ),
            Node(nodes.divide, "historical_features", ["training_frame", "test_frame"], name="divide"),
            Node(
                nodes.train_challenger,
                ["training_frame", "params:customers", "params:training", "params:costs"],
                "trained_model",
                name="train_challenger",
            ),
            Node(nodes.train_baseline, ["training_frame", "params:customers"], "baseline_model", name="train_baseline"),
            Node(nodes.describe_training, ["trained_model", "training_frame"], ["training_metrics", "trials"], name="describe_training"),
            Node(
                nodes.importance,
                ["trained_model", "training_frame"],
                ["feature_importance", "importance_plot"],
                name="feature_importance",
            ),
            Node(
                nodes.candidate,
                ["trained_model", "params:training", "params:costs", "data_summary", "git_commit"],
                "challenger",
                name="register_challenger",
            ),
        ]
    )

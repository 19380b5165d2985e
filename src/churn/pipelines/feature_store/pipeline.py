"""customer_features -> Feast -> online store -> read-back check."""

from kedro.pipeline import Pipeline, node

from churn.pipelines.feature_store import nodes


def create_pipeline() -> Pipeline:
    """Register, materialize, check."""
    return Pipeline(
        [
            node(nodes.declared_features, ["params:customers", "customer_features"], "feature_definitions", name="register_features"),
            node(nodes.interval, ["customer_features", "feature_definitions"], "online_features", name="materialize_features"),
            node(nodes.sample, ["customer_features", "params:feature_store"], "read_back_sample", name="sample_customers"),
            node(nodes.read_back, ["read_back_sample", "online_features"], "feature_store_report", name="read_back"),
        ]
    )

"""Data processing: check the raw table, type it, split it, hand its features on."""

from kedro.pipeline import Pipeline, node

from churn.pipelines.data_processing import nodes


def create_pipeline() -> Pipeline:
    """The pipeline; nothing is written before `check_table` has passed."""
    declared, parameters = "params:customers", "params:data_processing"
    return Pipeline(
        [
            node(
                nodes.count_breaches,
                ["raw_customers", declared],
                ["column_breaches", "rule_counts", "derived_counts"],
                name="count_breaches",
            ),
            node(
                nodes.add_derived,
                ["column_breaches", "rule_counts", "derived_counts", declared],
                ["table_breaches", "breach_counts"],
                name="add_derived",
            ),
            node(
                nodes.measure_leaks,
                ["raw_customers", "table_breaches", "breach_counts", declared, parameters],
                "measured_leaks",
                name="measure_leaks",
            ),
            node(nodes.find_examples, ["raw_customers", "breach_counts", declared], "breach_examples", name="find_examples"),
            node(
                nodes.check_table,
                ["table_breaches", "breach_counts", "breach_examples", "measured_leaks", "raw_fingerprint", declared, parameters],
                "table_check",
                name="check_table",
            ),
            node(nodes.type_customers, ["raw_customers", "table_check", declared, parameters], "customers@ibis", name="type_customers"),
            node(nodes.select_features, "customers@ibis", "customer_features", name="select_features"),
            node(nodes.count_customers, "customers@ibis", "customer_counts", name="count_customers"),
            node(
                nodes.summarise,
                # Written last: training goes by it, so the files it vouches for have to be there.
                ["customer_counts", "table_check", "raw_fingerprint", "customers@fingerprint", "customer_features", declared, parameters],
                "data_summary",
                name="summarise",
            ),
        ]
    )

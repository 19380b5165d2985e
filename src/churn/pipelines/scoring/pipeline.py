"""Features and champion -> scores of all customers -> ranked list with reasons."""

from kedro.pipeline import Node, Pipeline

from churn.pipelines.scoring import nodes


def create_pipeline() -> Pipeline:
    """Everything streams; nothing is written before `newest_rows` has found that the champion fits the table."""
    return Pipeline(
        [
            Node(nodes.newest_rows, ["customer_features", "champion"], "newest_features", name="newest_rows"),
            Node(nodes.score_customers, ["newest_features", "champion", "params:costs"], "scores@batches", name="score_customers"),
            Node(
                nodes.rank_customers,
                ["scores@ibis", "customer_features", "champion", "params:scoring"],
                "ranked_customers",
                name="rank_customers",
            ),
            Node(
                nodes.explain_customers,
                ["ranked_customers", "champion", "params:customers"],
                "retention_list",
                name="explain_customers",
            ),
        ]
    )

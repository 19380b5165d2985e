"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from churn.pipelines.evaluation import nodes

PLOTS = ("confusion_matrix", "calibration_curve", "gain_curve", "profit_curve", "shap_summary")


def create_pipeline() -> Pipeline:
    """Unseen test rows -> scores -> metrics, segments, plots -> decision -> report and reference -> promotion, which is the last step."""
    return Pipeline([*_measuring(), *_reporting()])


def _measuring() -> list[Node]:
    return [
        Node(nodes.unseen_rows, ["test_frame", "challenger", "champion"], "unseen_frame", name="leave_out_seen_customers"),
        Node(nodes.score, ["unseen_frame", "challenger", "champion", "baseline_model"], "predictions", name="score_test_customers"),
        Node(
            nodes.measure,
            ["predictions", "challenger", "champion", "params:costs"],
            ["test_metrics", "comparisons"],
            name="measure",
        ),
        Node(
            nodes.judge_segments,
            ["unseen_frame", "predictions", "params:customers", "params:evaluation"],
            "segments",
            name="judge_segments",
        ),
        Node(
            nodes.decide_promotion,
            ["predictions", "test_metrics", "comparisons", "challenger", "champion", "params:evaluation"],
            "decision",
            name="decide",
        ),
    ]


def _reporting() -> list[Node]:
    return [
        Node(nodes.plot_scores, ["predictions", "challenger", "params:costs"], "score_figures", name="plot_scores"),
        Node(nodes.plot_explanations, ["unseen_frame", "challenger", "params:evaluation"], "shap_figure", name="plot_explanations"),
        # A saved plot cannot be loaded, so the figures pass on in memory too.
        Node(nodes.collect_plots, ["score_figures", "shap_figure"], [*PLOTS, "figures"], name="save_plots"),
        Node(
            nodes.write_report,
            ["decision", "test_metrics", "comparisons", "segments", "figures", "params:costs"],
            "evaluation_report",
            name="write_report",
        ),
        Node(
            nodes.make_reference,
            ["training_frame", "unseen_frame", "predictions", "challenger", "params:monitoring"],
            "model_reference",
            name="store_reference",
        ),
        Node(
            nodes.promotion,
            ["decision", "test_metrics", "evaluation_report", "model_reference"],
            "promotion",
            name="promote",
        ),
    ]

"""Prediction log and reference -> verdict -> report, alert, history."""

from kedro.pipeline import Node, Pipeline

from churn.pipelines.monitoring import nodes
from churn.pipelines.monitoring.report import draw_report


def create_pipeline() -> Pipeline:
    """Verdict -> report -> alert -> history; an alert that did not arrive fails the run at its very end."""
    return Pipeline([*_reading(), *_judging(), *_telling()])


def _reading() -> list[Node]:
    return [
        Node(nodes.ask_log, "params:monitoring", ["prediction_window", "mature_predictions"], name="ask_log"),
        # model_reference is written by the evaluation, which a run of all pipelines has to wait for.
        Node(nodes.choose_version, ["prediction_window", "model_reference"], "monitored_reference", name="choose_version"),
        Node(
            nodes.match_outcomes,
            ["mature_predictions", "outcomes", "params:monitoring"],
            "answered_predictions",
            name="match_outcomes",
        ),
    ]


def _judging() -> list[Node]:
    log = ["prediction_window", "answered_predictions", "monitored_reference", "earlier_verdicts"]
    rules = ["params:customers", "params:monitoring", "params:evaluation"]
    return [Node(nodes.judge_window, [*log, *rules], ["monitoring_verdict", "judged_window"], name="judge_window")]


def _telling() -> list[Node]:
    return [
        Node(
            draw_report,
            ["monitoring_verdict", "judged_window", "monitored_reference", "params:monitoring"],
            ["monitoring_report", "evidently_workspace"],
            name="draw_report",
        ),
        Node(nodes.export, "monitoring_verdict", ["monitoring_gauges", "monitoring_metrics"], name="export"),
        # The report is an input so that it is there when people are told of it.
        Node(nodes.compose_alert, ["monitoring_verdict", "earlier_verdicts", "monitoring_report"], "alert", name="tell"),
        Node(
            nodes.extend_history,
            ["monitoring_verdict", "earlier_verdicts", "alert", "params:monitoring"],
            "monitoring_history",
            name="remember",
        ),
        Node(
            nodes.confirm_delivery,
            ["alert", "monitoring_history", "monitoring_gauges"],
            None,
            name="confirm_delivery",
        ),
    ]

"""Prediction log and reference -> verdict -> report, alert, history."""

from kedro.pipeline import Node, Pipeline

from churn.pipelines.monitoring import nodes
from churn.pipelines.monitoring.report import draw_report


def create_pipeline() -> Pipeline:
    """The verdict is written before anybody is told, and remembered only when they have been."""
    return Pipeline([*_reading(), *_judging(), *_telling()])


def _reading() -> list[Node]:
    return [
        Node(nodes.ask_window, "params:monitoring", "prediction_window", name="ask_window"),
        # model_reference is written by the evaluation, which a run of all pipelines has to wait for.
        Node(
            nodes.choose_version,
            ["prediction_window", "model_reference", "params:monitoring"],
            "monitored_reference",
            name="choose_version",
        ),
        Node(nodes.ask_outcomes, ["outcomes", "params:monitoring"], "labelled_predictions", name="ask_outcomes"),
    ]


def _judging() -> list[Node]:
    log = ["prediction_window", "labelled_predictions", "monitored_reference", "earlier_verdicts"]
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
    ]

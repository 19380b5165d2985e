"""The judgement of windows of a population whose changes are known."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.monitoring import cases
from benchmarks.monitoring.worlds import START, Case, World, build, judged, stream
from churn.core.declaration import Feature
from churn.core.monitoring.alert_text import alert_body, alert_title
from churn.core.monitoring.contract import unit_factor
from churn.core.monitoring.drift import ColumnDrift
from churn.core.monitoring.findings import Check, Finding, Kind, Severity
from churn.core.monitoring.gauges import gauges, metrics
from churn.core.monitoring.judge import Window, judge
from churn.core.monitoring.operation import Traffic
from churn.core.monitoring.parameters import WindowParameters
from churn.core.monitoring.table import Column, Sample, column
from churn.core.monitoring.verdict import Action, HistoryEntry, Status, Verdict, WindowFacts, remember, run_of, to_tell

FACTS = WindowFacts(rows=1000, start=START, end=START + timedelta(days=6))
NOW = START + timedelta(days=6)


@pytest.fixture(scope="module")
def world() -> World:
    return build(0)


def first(world: World, case: Case, rows: int = 1000, seed: int = 1) -> Verdict:
    return next(iter(judged(world, stream(world, case, rows, 1, seed))))


def verdict_on(world: World, sample: Sample, **changes: Any) -> Verdict:
    ages = changes.pop("ages", np.ones(len(sample)))
    window = Window(FACTS, sample, ages, **changes)
    return judge(world.reference, window, changes.get("history", []), world.declaration.columns, world.parameters, NOW)


def quiet(world: World, rows: int = 1000) -> Sample:
    return next(iter(stream(world, cases.QUIET, rows, 1, 3)))[0]


def keys(verdict: Verdict) -> set[str]:
    return {finding.key for finding in verdict.alerts}


@pytest.mark.parametrize("rows", [200, 1000, 5000])
def test_without_a_change_nothing_is_said(world: World, rows: int) -> None:
    verdicts = list(judged(world, stream(world, cases.QUIET, rows, 8, 17)))
    assert sum(verdict.status == "alert" for verdict in verdicts) <= 1
    assert {verdict.action for verdict in verdicts if verdict.status != "alert"} == {"none"}


@pytest.mark.parametrize("case", cases.BROKEN, ids=lambda case: case.name)
def test_broken_data_are_named_at_once_and_never_trained_on(world: World, case: Case) -> None:
    found = first(world, case)
    assert (found.status, found.action) == ("alert", "fix-data")
    assert f"{case.kind}:{case.column}" in keys(found)
    assert {finding.reading for finding in found.findings} == {"broken data"}
    assert {finding.check for finding in found.alerts} == {"contract"}


def test_a_broken_contract_forbids_retraining_even_when_performance_is_lost(world: World) -> None:
    both = Case("both", cases.BEHAVIOUR.change, cases.BROKEN[2].fault)
    assert {verdict.action for verdict in judged(world, stream(world, both, 1000, 3, 5))} == {"fix-data"}


def one_after_the_other(world: World, story: Sequence[Case], seed: int) -> list[Verdict]:
    windows = [next(iter(stream(world, case, 1000, 1, seed + number))) for number, case in enumerate(story)]
    return list(judged(world, iter(windows), outcomes=False))


@pytest.mark.parametrize("case", cases.BROKEN, ids=lambda case: case.name)
def test_a_fault_that_is_mended_leaves_no_trace(world: World, case: Case) -> None:
    """Its windows count neither as persistence nor as customers."""
    for seed in range(300, 350, 10):
        verdicts = one_after_the_other(world, (cases.QUIET, case, case, cases.QUIET, cases.QUIET), seed)
        assert [(verdict.status, verdict.action) for verdict in verdicts[1:]] == [("alert", "fix-data")] * 2 + [("ok", "none")] * 2
        assert all(key.split(":")[0] in {case.kind, "range"} for verdict in verdicts for key in verdict.shown)


def test_windows_on_broken_data_are_left_out_of_the_second_look(world: World) -> None:
    from churn.io.predictions.window import LoggedWindow
    from churn.pipelines.monitoring.nodes import assemble

    features = [json.dumps({"tenure": row}) for row in range(3000)]
    times = pd.date_range(START, periods=3000, freq="min")
    log = pd.DataFrame({"predicted_at": times, "features_as_of": times, "features": features, "probability": 0.2, "model_version": "1"})
    logged, none = LoggedWindow(log, 0, Traffic(newest=times[-1])), log.head(0).assign(churned=[])
    broken = entry(0).model_copy(update={"broken": True, "start": times[1500], "end": times[1999]})
    for history, first_row, rows in (([], 0, 3000), ([broken], 0, 2500)):
        pooled = assemble(logged, none, world.reference, history, world.parameters).pooled
        assert pooled is not None
        tenure = pooled.columns["tenure"].values
        assert (tenure[0], tenure[-1], len(pooled)) == (first_row, 2999, rows)
    assert not {1500, 1999} & set(tenure)
    assert {1499, 2000} <= set(tenure)


@pytest.mark.parametrize("case", cases.BROKEN, ids=lambda case: case.name)
def test_outcomes_of_predictions_on_broken_data_retrain_nothing(world: World, case: Case) -> None:
    """They arrive when the fault may long have been mended."""
    for seed in range(3):
        then = next(iter(stream(world, case, 1000, 1, 70 + seed)))[0]
        found = verdict_on(world, quiet(world), labelled=then, labelled_of=1000)
        assert (found.status in {"ok", "watch"}, found.action) == (True, "none")
        assert all("predicted on broken data" in finding.text for finding in found.findings)
    if case.column == "tenure":
        assert [finding.check for finding in found.findings] == ["measured"] * len(found.findings) != []


def test_a_change_that_passes_retrains_nothing(world: World) -> None:
    story = (cases.QUIET, cases.MODERATE, cases.QUIET, cases.QUIET)
    stories = [one_after_the_other(world, story, seed) for seed in range(500, 600, 10)]
    assert sum(any(verdict.action == "retrain" for verdict in verdicts) for verdicts in stories) <= 1
    echoes = [finding for verdicts in stories for finding in verdicts[2].findings]
    assert echoes
    assert np.mean([finding.severity == "watch" and "no longer seen" in finding.text for finding in echoes]) > 0.8


def test_another_mix_of_customers_alerts_at_once_and_retrains_when_it_stays(world: World) -> None:
    one, two = judged(world, stream(world, cases.MODERATE, 1000, 2, 5), outcomes=False)
    assert (one.status, one.action) == ("alert", "none")
    assert {finding.reading for finding in one.alerts} == {"changed customers"}
    assert (two.status, two.action) == ("alert", "retrain")
    strongest = two.findings[0]
    assert (strongest.windows, strongest.since) == (2, START.isoformat())


def test_a_feature_that_hardly_moves_the_scores_is_only_watched(world: World) -> None:
    sample = quiet(world)
    flipped = Column(np.ones_like(sample.columns["gender"].values), sample.columns["gender"].labels)
    found = verdict_on(world, Sample({**sample.columns, "gender": flipped}, sample.scores))
    assert [(finding.key, finding.severity, finding.important) for finding in found.findings] == [("feature-drift:gender", "watch", False)]
    assert (found.status, found.action) == ("watch", "none")


def test_changed_behaviour_is_measured_and_invisible_without_outcomes(world: World) -> None:
    found = first(world, cases.BEHAVIOUR)
    assert found.action == "retrain"
    assert "calibration:" in keys(found)
    assert {finding.reading for finding in found.alerts} == {"changed behaviour"}
    assert found.measured is not None
    assert found.measured.coverage == 1
    assert {segment.verdict for segment in found.segments} >= {"predicts too much"}
    blind = next(iter(judged(world, stream(world, cases.BEHAVIOUR, 1000, 1, 1), outcomes=False)))
    assert (blind.status, blind.measured) == ("ok", None)
    assert blind.estimated is not None
    assert blind.estimated.roc_auc - found.measured.roc_auc > 0.03


def test_too_few_customers_or_outcomes_are_not_judged(world: World) -> None:
    few = verdict_on(world, quiet(world, 150))
    assert few.status == "not-judged"
    assert "150 customers" in few.summary
    sample = quiet(world)
    known = Sample(sample.columns, sample.scores, np.zeros(len(sample), bool)).take(slice(150))
    found = verdict_on(world, sample, labelled=known, labelled_of=1000)
    assert found.measured is None
    assert "Not measured: 150 outcomes" in found.summary


@pytest.mark.parametrize("lost", ["those who left", "those who stayed"])
def test_performance_is_not_measured_where_outcomes_of_one_kind_are_lost(world: World, lost: str) -> None:
    sample = quiet(world)
    assert sample.churned is not None
    there = sample.churned != (lost == "those who left")
    there[::2] = True  # half of them
    found = verdict_on(world, sample, labelled=sample.take(np.flatnonzero(there)), labelled_of=len(sample))
    assert (found.status, found.action, found.measured) == ("ok", "none", None)
    assert "of 1,000 predictions that are old enough have an outcome, 95% needed" in found.summary
    assert verdict_on(world, sample, labelled=sample, labelled_of=len(sample)).unmeasured == ""


def service(silent_days: float = 0, counts: tuple[int, ...] = (700, 700, 700, 700)) -> Traffic:
    return Traffic(NOW - timedelta(days=silent_days), 7, counts)


@pytest.mark.parametrize("rows", [50, 1000])
def test_a_silent_service_alerts_with_any_number_of_customers(world: World, rows: int) -> None:
    found = verdict_on(world, quiet(world, rows), traffic=service(silent_days=8))
    assert (found.status, found.action, keys(found)) == ("alert", "fix-data", {"silence:"})
    assert "no prediction for 8.0 days: look at the service" in alert_body(found)
    assert "service down" in alert_title(found)


@pytest.mark.parametrize(("case", "broken"), [(cases.BEHAVIOUR, False), (cases.BROKEN[0], True)], ids=["behaviour", "broken"])
def test_a_silent_service_says_nothing_of_the_data_that_it_was_asked_with(world: World, case: Case, broken: bool) -> None:
    sample = next(iter(stream(world, case, 1000, 1, 3)))[0]
    found = verdict_on(world, sample, labelled=sample, labelled_of=len(sample), traffic=service(silent_days=8))
    assert "silence:" in keys(found)
    assert [entry.broken for entry in remember([], found, (), 9)] == [broken]
    assert any(finding.check == "measured" for finding in found.alerts) is not broken


def test_a_volume_out_of_the_usual_is_watched(world: World) -> None:
    for counts, seen in (
        ((70, 700, 700, 700), True),
        ((7000, 700, 700, 700), True),
        ((500, 700, 700, 700), False),
        ((700, 700, 100, 0), False),  # the log begins in the third period
        ((70, 700, 0, 0), False),
    ):
        for rows in (50, 1000):
            found = verdict_on(world, quiet(world, rows), traffic=service(counts=counts))
            assert ("volume:" in {finding.key for finding in found.findings}) is seen
            assert (found.status == "watch") is seen


def test_old_features_a_lost_column_wrong_types_and_copies(world: World) -> None:
    sample = quiet(world)
    assert keys(verdict_on(world, sample, ages=np.full(len(sample), 99.0))) == {"stale-features:"}
    less = {name: values for name, values in sample.columns.items() if name != "Contract"}
    assert "missing-column:Contract" in keys(verdict_on(world, Sample(less, sample.scores)))
    as_text = column(world.reference.features[4], np.array(["12"] * len(sample), object))
    assert "types:tenure" in keys(verdict_on(world, Sample({**sample.columns, "tenure": as_text}, sample.scores)))
    copied = sample.take(np.r_[np.arange(800), np.zeros(200, int)])
    assert "duplicates:" in keys(verdict_on(world, copied))


def test_the_declared_range_is_part_of_the_contract(world: World) -> None:
    sample = quiet(world)
    charges = sample.columns["MonthlyCharges"].values.copy()
    charges[:30] = -5.0
    found = verdict_on(world, Sample({**sample.columns, "MonthlyCharges": Column(charges)}, sample.scores))
    assert "range:MonthlyCharges" in keys(found)


@pytest.mark.parametrize("most", [36, 12, 4])
def test_newer_customers_are_no_other_unit(world: World, most: int) -> None:
    """Their tenures are a fraction of what they were, of another shape."""
    many = quiet(world, 20_000)
    newer = many.take(np.flatnonzero(many.columns["tenure"].values <= most)[:1000])
    found = verdict_on(world, newer)
    assert "feature-drift:tenure" in keys(found)
    assert {finding.reading for finding in found.alerts} == {"changed customers"}


def test_a_unit_is_recognised_beside_zeros_and_below_zero() -> None:
    rng = np.random.default_rng(0)
    mostly_zero = np.where(rng.random(6000) < 0.9, 0.0, rng.lognormal(0, 1, 6000))
    for values in (mostly_zero, rng.normal(-50, 10, 6000), np.floor(rng.uniform(1, 72, 6000))):
        before, after = values[:5000], values[5000:]
        for factor in (100, 1 / 100, 30.4):
            assert unit_factor(before, after * factor, 6.0) == pytest.approx(factor, rel=0.25)
        assert unit_factor(before, after, 6.0) is None
        assert unit_factor(before, 3 * after, 6.0) is None
    assert unit_factor(np.zeros(100), np.ones(100), 6.0) is None


def test_a_rise_of_prices_is_no_other_unit(world: World) -> None:
    assert not any("unit" in key for key in keys(first(world, Case("prices", {"change": {"price": 0.3}}))))


@pytest.mark.parametrize(
    ("kind", "raw", "values", "wrong"),
    [
        ("category", ["a", None, "b", "new", 3, float("nan")], [0, -1, 1, 2, -1, -1], 1),
        ("boolean", [True, False, None, 1, "Yes"], [1, 0, -1, -1, -1], 2),
        ("number", [1, 2.5, None, "7", True], [1, 2.5, np.nan, np.nan, np.nan], 2),
    ],
)
def test_raw_values_become_columns(kind: Any, raw: list[Any], values: list[float], wrong: int) -> None:
    feature = Feature(name="x", type=kind, label="X", values=("a", "b") if kind == "category" else None)
    cells = np.empty(len(raw), object)
    cells[:] = raw
    found = column(feature, cells)
    np.testing.assert_array_equal(found.values, values)
    assert found.wrong_type == wrong
    assert found.unknown == ({"new": 1} if kind == "category" else {})


def entry(
    day: int, length: float = 1, version: str = "1", shown: tuple[str, ...] = ("k",), alerted: tuple[str, ...] = (), action: Action = "none"
) -> HistoryEntry:
    start = START + timedelta(days=day)
    return HistoryEntry(
        start=start,
        end=start + timedelta(days=length),
        rows=9,
        model_version=version,
        status="alert",
        action=action,
        shown=shown,
        alerted=alerted,
    )


def test_persistence_counts_windows_that_do_not_overlap() -> None:
    now = START + timedelta(days=10)
    assert run_of("k", now, "1", []) == (1, now)
    assert run_of("k", now, "1", [entry(7), entry(8.5)])[0] == 3
    assert run_of("k", now, "1", [entry(8), entry(8.5), entry(9.5)])[0] == 2
    assert run_of("k", now, "1", [entry(6), entry(8, shown=())])[0] == 1
    assert run_of("k", now, "1", [entry(6), entry(8, version="2")])[0] == 1


def test_the_same_trouble_is_told_once_until_it_changes(world: World) -> None:
    found = first(world, cases.BROKEN[2])
    send, told = to_tell(found, [])
    assert send
    history = remember([], found, told, 10)
    assert to_tell(found, history) == (False, told)
    assert to_tell(first(world, cases.BROKEN[1]), history)[0]
    well = verdict_on(world, quiet(world))
    assert to_tell(well, history) == (False, ())
    assert to_tell(found, remember(history, well.model_copy(update={"window": FACTS.model_copy(update={"rows": 9})}), (), 10))[0]


def test_the_columns_of_one_drift_are_one_trouble() -> None:
    def drifting(*columns: str, action: Action = "none", severity: Severity = "alert", check: Check = "drift") -> Verdict:
        kinds: dict[Check, Kind] = {"drift": "feature-drift", "measured": "calibration", "contract": "unit"}
        found = tuple(
            Finding(
                check=check,
                kind=kinds[check],
                severity=severity,
                reading="changed customers",
                text="",
                measure="PSI",
                strength=1,
                column=name,
            )
            for name in columns
        )
        status: Status = severity if found else "ok"
        return Verdict(status=status, action=action, summary="", checked_at=NOW, window=FACTS, model_version="1", findings=found, shown=())

    def told(*verdicts: Verdict) -> list[bool]:
        history: list[HistoryEntry] = []
        sent = []
        for day, verdict in enumerate(verdicts):
            window = FACTS.model_copy(update={"start": START + timedelta(days=day), "end": START + timedelta(days=day + 0.5)})
            send, known = to_tell(verdict, history)
            history = remember(history, verdict.model_copy(update={"window": window}), known, 10)
            sent.append(send)
        return sent

    more, other = drifting("a", "b"), drifting("b", action="retrain")
    assert told(drifting("a"), more, drifting("b"), other, more, other) == [True, False, False, True, False, False]
    assert told(drifting("a"), drifting("a", severity="watch"), drifting("b")) == [True, False, False]
    assert told(drifting("a"), drifting(), drifting("b")) == [True, False, True]
    assert told(drifting("a"), drifting("", check="measured")) == [True, True]
    broken = drifting("a", action="fix-data", check="contract")
    both = broken.model_copy(update={"findings": (*broken.findings, *drifting("b", severity="watch").findings)})
    assert told(drifting("b"), both, both, drifting("b"), both) == [True, True, False, False, True]
    of_next_version = drifting("a").model_copy(update={"model_version": "2"})
    assert told(drifting("a"), of_next_version, drifting("a"), of_next_version) == [True, True, False, False]


def test_a_weaker_relation_has_words_of_its_own(world: World) -> None:
    found = [first(world, cases.WEAKER, seed=seed) for seed in range(8)]
    texts = [finding.text for verdict in found for finding in verdict.alerts if finding.kind == "calibration"]
    assert texts
    assert all(text.startswith("high and low scores mean less than they did: slope") for text in texts)
    (turned,) = (finding.text for finding in first(world, cases.BEHAVIOUR).alerts if finding.kind == "calibration")
    assert turned.startswith("customers with the same features leave at another rate")


def test_numbers_of_several_windows_say_so(world: World) -> None:
    verdicts = [verdict for seed in range(5) for verdict in judged(world, stream(world, cases.MILD, 1000, 3, seed), outcomes=False)]
    texts = {column.pooled: finding.text for verdict in verdicts for column, finding in matched(verdict)}
    assert "this window and those before it" in texts[True]
    assert "those before it" not in texts[False]


def matched(verdict: Verdict) -> list[tuple[ColumnDrift, Finding]]:
    columns = {column.column: column for column in verdict.drift}
    return [(columns[finding.column or ""], finding) for finding in verdict.findings if finding.check == "drift"]


def test_large_windows_need_no_second_look() -> None:
    assert [WindowParameters(pooled=3).pooled_of(rows) for rows in (200, 1000, 5000, 9999, 10_000, 100_000)] == [3, 3, 2, 2, 1, 1]
    assert WindowParameters(pooled=1).pooled_of(200) == 1


def test_the_alert_says_what_how_much_why_and_where(world: World) -> None:
    found = first(world, cases.BROKEN[2]).model_copy(update={"report": "https://example.org/report.html"})
    text = alert_body(found)
    for part in ("MonthlyCharges is about", "Likely: broken data", "Recommended: fix-data", "https://example.org/report.html"):
        assert part in text
    assert "broken data" in alert_title(found)


def test_gauges_are_read_by_prometheus(world: World) -> None:
    found = first(world, cases.BEHAVIOUR)
    families = {family.name: family for family in text_string_to_metric_families(gauges(found))}
    assert families["churn_monitoring_status"].samples[0].value == 2
    assert families["churn_monitoring_retrain_recommended"].samples[0].value == 1
    assert {sample.labels["kind"] for sample in families["churn_monitoring_roc_auc"].samples} == {"estimated", "measured", "test"}
    assert len(families["churn_monitoring_psi"].samples) == len(world.reference.features) + 1
    assert metrics(found)["monitoring_measured_roc_auc"] == found.measured.roc_auc  # type: ignore[union-attr]


def test_a_verdict_survives_json(world: World) -> None:
    found = first(world, cases.MODERATE)
    assert Verdict.model_validate_json(found.model_dump_json()) == found
    assert found.checked_at <= datetime.now(UTC) + timedelta(days=60)

import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xgboost
from kedro.io import AbstractDataset, DataCatalog
from kedro.runner import SequentialRunner

from churn.core.declaration import Declaration
from churn.core.errors import ChurnError
from churn.core.evaluation.profit import profit_threshold
from churn.core.modelling.baseline import fit_baseline
from churn.core.modelling.encoding import encode
from churn.core.modelling.model import build_model, feature_types
from churn.core.monitoring.parameters import MonitoringParameters
from churn.io.models.registry import RegisteredModel
from churn.pipelines.evaluation import create_pipeline
from churn.pipelines.evaluation.nodes import of_model
from churn.pipelines.evaluation.pipeline import PLOTS
from tests.parameters import COSTS, EVALUATION

CUSTOMERS = Declaration.model_validate(
    {
        "key": "id",
        "target": {"column": "left", "positive": "Yes"},
        "columns": {
            "contract": {"type": "category", "values": ["monthly", "<b>yearly"]},
            "senior": {"type": "boolean"},
            "tenure": {"type": "integer"},
            "charges": {"type": "number"},
        },
    }
)


HELD_OUT = '{"test_share": 0.5, "test_from": "2026-01-15T00:00:00Z"}'
"""The tag of a champion that was trained on half of the customers, and on none in time after that."""


def table(rows, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{seed}-{i:05d}" for i in range(rows)],
            "event_timestamp": pd.date_range("2026-01-01", "2026-01-31", rows, tz="UTC"),
            "contract": rng.choice(["monthly", "<b>yearly"], rows),
            "senior": rng.random(rows) < 0.2,
            "tenure": rng.integers(0, 72, rows),
            "charges": rng.normal(60, 20, rows),
        }
    )
    eta = 0.4 - 1.6 * (frame.contract != "monthly") + 0.8 * frame.senior - 0.05 * frame.tenure + 0.01 * frame.charges
    return frame.assign(churned=rng.random(rows) < 1 / (1 + np.exp(-eta)))


def fit(frame, features=CUSTOMERS.features):
    codes = encode(features, frame)
    kinds = feature_types(features)
    data = xgboost.DMatrix(codes, frame["churned"], feature_types=kinds, enable_categorical=True)
    options = {"objective": "binary:logistic", "max_depth": 2, "eta": 0.1, "nthread": 1}
    booster = xgboost.train(options, data, 80)
    return build_model(booster, features, frame, threshold=profit_threshold(COSTS), schema_sha256=CUSTOMERS.sha256)


@pytest.fixture(scope="module")
def models():
    train_rows = table(3000, 1)
    noise = train_rows.assign(contract=np.random.default_rng(0).permutation(train_rows["contract"]))
    good, weak = fit(train_rows), fit(noise)
    baseline = fit_baseline(train_rows, train_rows["churned"].to_numpy(bool), CUSTOMERS.features)
    other = tuple(feature.model_copy(update={"name": f"other_{feature.name}"}) for feature in CUSTOMERS.features)
    foreign = fit(train_rows.rename(columns=lambda name: f"other_{name}").assign(churned=train_rows["churned"]), other)
    return {
        "good": RegisteredModel("2", good, {}),
        "weak": RegisteredModel("1", weak, {}),
        "foreign": RegisteredModel("1", foreign, {"split": HELD_OUT}),
        "other_split": RegisteredModel("1", weak, {"split": HELD_OUT}),
        "again": RegisteredModel("4", good, {"customers_sha256": "c"}, rolled_back="3"),
        "baseline": baseline,
    }


class Kept(AbstractDataset):
    """A dataset in a shared dict, None too; the dict shows the order in which datasets were saved."""

    def __init__(self, name, place):
        self.name, self.place = name, place

    def load(self):
        return self.place[self.name]

    def save(self, data):
        self.place[self.name] = data

    def _describe(self):
        return {}


def evaluate(models, challenger, champion, test_rows, until="promotion"):
    """Run the pipeline up to an output; its outputs in the order in which they were saved."""
    inputs = {
        "training_frame": table(500, 1),
        "test_frame": test_rows,
        "challenger": models[challenger],
        "champion": models[champion] if champion else None,
        "baseline_model": models["baseline"],
        "params:customers": CUSTOMERS,
        "params:costs": COSTS,
        "params:evaluation": EVALUATION,
        "params:monitoring": MonitoringParameters(),
    }
    pipeline, outputs = create_pipeline().to_outputs(until) if until != "promotion" else create_pipeline(), {}
    places = dict.fromkeys(pipeline.all_outputs(), outputs) | dict.fromkeys(inputs, inputs)
    SequentialRunner().run(pipeline, DataCatalog({name: Kept(name, place) for name, place in places.items()}))
    return outputs


@pytest.fixture(scope="module")
def second(models):
    return evaluate(models, "good", "weak", table(2000, 2))


@pytest.fixture(scope="module")
def first(models):
    return evaluate(models, "good", None, table(2000, 2))


def test_a_better_model_replaces_the_champion_and_the_promotion_comes_last(second):
    found = second
    assert list(found)[-1] == "promotion"
    assert {"evaluation_report", "model_reference"} <= create_pipeline().to_outputs("promotion").all_outputs()  # not by chance
    assert set(found) == create_pipeline().all_outputs()
    assert found["decision"]["outcome"] == "promoted"
    told = found["promotion"]
    assert (told["version"], told["expected_champion"], told["outcome"]) == ("2", "1", "promoted")
    assert told["reason"] == found["decision"]["reason"]
    assert told["metrics"] == of_model(found["test_metrics"], "challenger")


def test_the_first_model_has_no_champion_to_meet(first):
    found = first
    assert (found["decision"]["outcome"], found["promotion"]["expected_champion"]) == ("promoted", None)
    assert list(found["predictions"]) == ["customer_id", "churned", "challenger", "baseline"]
    assert set(found["comparisons"]) == {"baseline"}
    assert not any(name.startswith("champion_") for name in found["test_metrics"])


def test_the_reverse_is_rejected(models):
    found = evaluate(models, "weak", "good", table(2000, 2), until="decision")
    assert found["decision"]["outcome"] == "rejected"


def test_the_same_model_stays_champion(models):
    found = evaluate(models, "good", "good", table(500, 2))
    assert found["decision"]["outcome"] == "kept"
    assert "No rule was applied" in found["evaluation_report"]


def test_every_model_is_scored_on_the_same_customers(second, models):
    predictions, rows = second["predictions"], table(2000, 2)
    np.testing.assert_array_equal(predictions["challenger"], models["good"].model.predict(rows))
    np.testing.assert_array_equal(predictions["champion"], models["weak"].model.predict(rows))
    np.testing.assert_array_equal(predictions["baseline"], models["baseline"].predict(rows))
    assert predictions["customer_id"].tolist() == rows["customer_id"].tolist()


def test_metrics_are_flat_numbers_with_intervals_and_all_reports_are_json(second):
    found = second
    for model in ("challenger", "champion", "baseline"):
        for metric in ("roc_auc", "average_precision", "f1", "log_loss", "brier", "top_decile_lift", "profit"):
            name = f"{model}_{metric}"
            assert found["test_metrics"][f"{name}_low"] <= found["test_metrics"][name] <= found["test_metrics"][f"{name}_high"]
    for name in ("test_metrics", "comparisons", "segments", "decision", "promotion"):
        assert json.loads(json.dumps(found[name], allow_nan=False)) == found[name]


def test_segments_are_the_declared_categories_and_booleans(second):
    shown = {(segment["feature"], segment["value"]) for segment in second["segments"]}
    assert shown == {("contract", "monthly"), ("contract", "<b>yearly"), ("senior", "Yes"), ("senior", "No")}


class Page(HTMLParser):
    """Collects what a browser would fetch, and the open tags."""

    def __init__(self, text):
        super().__init__()
        self.links, self.open, self.images = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for key, value in attrs if key in ("src", "href") and not value.startswith("data:")]
        self.images += tag == "img"
        if tag not in ("img", "meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_says_what_was_decided(second):
    found = second
    page = found["evaluation_report"]
    read = Page(page)
    assert (read.links, read.open, read.images) == ([], [], len(PLOTS))
    assert "http" not in re.sub(r"data:[^\"]+", "", page)
    assert "Promoted to champion: version 2" in page
    assert "against champion version 1" in page
    assert f"{found['test_metrics']['challenger_roc_auc']:.4f}" in page
    assert "&lt;b&gt;yearly" in page
    assert "<b>yearly" not in page


def test_test_customers_of_one_class_stop_the_run_with_advice(models):
    rows = table(200, 2)
    with pytest.raises(ChurnError, match="one class only"):
        evaluate(models, "good", None, rows.assign(churned=False), until="decision")


def test_a_champion_of_another_table_is_named_kept_for_rollback_and_not_compared_with(models):
    found = evaluate(models, "good", "foreign", table(2000, 2))
    decision, told = found["decision"], found["promotion"]
    assert (decision["outcome"], decision["champion"], told["expected_champion"]) == ("promoted", "1", "1")
    assert "version 1, was trained on a table with other columns" in decision["reason"]
    assert "other_contract is missing" in decision["reason"]
    assert (set(found["comparisons"]), len(found["predictions"])) == ({"baseline"}, 2000)
    assert "without champion version 1, which cannot score this table" in found["evaluation_report"]


def test_customers_that_the_champion_was_trained_on_are_left_out(models):
    rows = table(2000, 2)
    found = evaluate(models, "good", "other_split", rows)
    ids = set(found["predictions"]["customer_id"])
    expected = [
        key
        for key, at in zip(rows["customer_id"], rows["event_timestamp"], strict=True)
        if hashlib.md5(key.encode()).hexdigest()[0] in "01234567" and at >= pd.Timestamp("2026-01-15", tz="UTC")
    ]
    assert ids == set(expected)
    assert found["decision"]["customers"] == len(expected) < 700
    assert sum(segment["customers"] for segment in found["segments"] if segment["feature"] == "senior") == len(expected)
    assert (found["model_reference"].rows["split"] == "test").sum() == len(expected)


def test_no_customer_that_both_held_out_is_an_error_that_says_why(models):
    rows = table(500, 2).assign(event_timestamp=pd.Timestamp("2026-01-02", tz="UTC"))
    with pytest.raises(ChurnError, match=r"test_share 0\.5, test_from 2026-01-15"):
        evaluate(models, "good", "other_split", rows, until="decision")


def test_a_model_that_was_rolled_back_is_rejected_and_the_table_is_on_record(models):
    decision = evaluate(models, "again", "weak", table(2000, 2), until="decision")["decision"]
    assert (decision["outcome"], decision["customers_sha256"]) == ("rejected", "c")
    assert "model of version 3" in decision["reason"]
    assert "churn promote 4" in decision["reason"]

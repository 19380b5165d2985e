"""The pipeline monitoring with its real catalog entries, on frames as the training pipeline writes them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from churn.core.declaration import CHURNED, CUSTOMER_ID, EVENT_TIMESTAMP, Declaration
from churn.core.drift import DriftParameters
from churn.core.errors import ChurnError
from churn.core.population import Change, SampleParameters, draw
from churn.pipelines.monitoring import create_pipeline
from churn.pipelines.monitoring.nodes import compare_frames
from tests.projects import ROOT

CUSTOMERS = Declaration.parse(yaml.safe_load((ROOT / "conf/base/parameters/customers.yml").read_text(encoding="utf-8"))["customers"])
PARAMETERS = DriftParameters.model_validate(
    yaml.safe_load((ROOT / "conf/base/parameters/monitoring.yml").read_text(encoding="utf-8"))["monitoring"]
)
DRIFTED = SampleParameters(rows=700, seed=2, first_month=12, change=Change(price=0.02, missing=0.02, missing_columns=("TechSupport",)))


def frame(parameters: SampleParameters) -> pd.DataFrame:
    drawn = draw(parameters)
    table = pd.DataFrame(drawn.features())
    table.insert(0, CUSTOMER_ID, drawn.customer_id.astype(str))
    table.insert(1, EVENT_TIMESTAMP, pd.Timestamp("2026-11-01", tz="UTC"))
    table.insert(2, CHURNED, drawn.churned)
    return table


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    return frame(SampleParameters(rows=2800, seed=1))


@pytest.fixture(scope="module")
def reports(reference: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports folder of a run on drifted customers."""
    storage = tmp_path_factory.mktemp("storage")
    text = (ROOT / "conf/base/catalog/monitoring.yml").read_text(encoding="utf-8").replace("${globals:storage}", str(storage))
    catalog = DataCatalog.from_config(yaml.safe_load(text))
    catalog["training_frame"], catalog["test_frame"] = reference, frame(DRIFTED)
    catalog["params:customers"], catalog["params:monitoring"] = CUSTOMERS, PARAMETERS.model_copy(update={"report_rows": 1000})
    SequentialRunner().run(create_pipeline(), catalog)
    return storage / "reports"


def test_the_summary_names_what_drifted(reports: Path) -> None:
    summary = json.loads((reports / "drift.json").read_text(encoding="utf-8"))
    assert summary["verdict"] == "watch"
    assert {"MonthlyCharges", "TechSupport"} <= set(summary["drifted"]) <= {"MonthlyCharges", "TechSupport", "TotalCharges"}
    assert [column["column"] for column in summary["columns"]] == [feature.name for feature in CUSTOMERS.features]
    missing = {column["column"]: column["missing_current"] for column in summary["columns"]}
    assert missing["TechSupport"] == pytest.approx(0.24, abs=0.05)
    assert (summary["reference_rows"], summary["current_rows"]) == (2800, 700)


def test_the_page_shows_the_same_verdict_and_loads_nothing(reports: Path) -> None:
    summary = json.loads((reports / "drift.json").read_text(encoding="utf-8"))
    page = (reports / "drift.html").read_text(encoding="utf-8")
    drifted = len(summary["drifted"])
    assert f"({drifted} out of {len(CUSTOMERS.features)})" in page
    assert "Dataset Drift is detected" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(?:https?:)?//", page)
    for name in (CUSTOMER_ID, EVENT_TIMESTAMP, CHURNED):
        assert f"column {name}" not in page


def test_the_same_population_is_ok(reference: pd.DataFrame) -> None:
    summary = compare_frames(reference, frame(SampleParameters(rows=700, seed=2)), CUSTOMERS, PARAMETERS)
    assert (summary["verdict"], summary["drifted"]) == ("ok", [])


def test_missing_values_of_every_type_are_read(reference: pd.DataFrame) -> None:
    current = frame(SampleParameters(rows=700, seed=2))
    kinds: dict[str, Any] = {"Partner": "boolean", "tenure": "Int64", "MonthlyCharges": "float64", "Contract": "string"}
    for name, kind in kinds.items():
        current[name] = current[name].astype(kind)
        current.loc[current.index[:70], name] = None
    summary = compare_frames(reference, current, CUSTOMERS, PARAMETERS)
    missing = {column["column"]: column["missing_current"] for column in summary["columns"] if column["missing_current"]}
    assert missing == pytest.approx(dict.fromkeys(kinds, 0.1))
    assert set(kinds) == set(summary["drifted"])


def test_a_score_is_compared_where_it_is_named(reference: pd.DataFrame) -> None:
    current = frame(SampleParameters(rows=700, seed=2))
    scored = PARAMETERS.model_copy(update={"scores": ("score",)})
    summary = compare_frames(
        reference.assign(score=reference["tenure"] / 72), current.assign(score=current["tenure"] / 144), CUSTOMERS, scored
    )
    assert summary["drifted"] == ["score"]
    with pytest.raises(ChurnError, match=r"monitoring\.scores names 'score'"):
        compare_frames(reference, current, CUSTOMERS, scored)


def test_an_empty_side_is_one_message(reference: pd.DataFrame) -> None:
    with pytest.raises(ChurnError, match="test_frame has no rows"):
        compare_frames(reference, reference.iloc[:0], CUSTOMERS, PARAMETERS)


def test_evidently_is_imported_only_where_it_is_used() -> None:
    code = "import sys, churn.pipelines.monitoring; print([m for m in ('evidently', 'pandas', 'sklearn', 'numba') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"

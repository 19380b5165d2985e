"""The baseline notebook runs from its folder in a project whose table has been processed, and keeps no outputs."""

import base64
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.projects import ROOT, SAMPLE_ROWS

NOTEBOOK = ROOT / "notebooks" / "01_baseline.ipynb"


@pytest.fixture(scope="module")
def executed(finished_project: Path) -> Any:
    """The notebook after a run in its folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(finished_project / "notebooks")}}
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()


def outputs(notebook: Any, kind: str) -> list[Any]:
    return [
        output["data"][kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type in ("execute_result", "display_data") and kind in output["data"]
    ]


def printed(notebook: Any) -> str:
    return "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stdout")


def test_it_reads_the_table_through_the_catalog(executed: Any) -> None:
    text = printed(executed)
    assert f"{SAMPLE_ROWS:,} customers" in text
    assert "A generated sample, not real customers" in text


def test_the_baseline_is_as_good_as_a_linear_model_gets(executed: Any) -> None:
    table = next(text for text in outputs(executed, "text/plain") if "roc_auc" in text)
    found = re.search(r"roc_auc\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)", table)
    assert found
    value, low, high = (float(number) for number in found.groups())
    assert 0.75 < low < value < high < 0.92


def test_it_draws_its_four_plots(executed: Any, tmp_path: Path) -> None:
    plots = outputs(executed, "image/png")
    assert len(plots) == 4
    assert all(len(base64.b64decode(plot)) > 5000 for plot in plots)


def test_no_outputs_are_kept_in_the_repository() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count is None and cell.outputs == [] for cell in code)

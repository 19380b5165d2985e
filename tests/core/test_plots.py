import io

import numpy as np
import pytest

from churn.core.evaluation import plots
from tests.parameters import COSTS


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    p = rng.beta(0.8, 2.2, 900)
    return rng.random(900) < p, {"challenger": p, "champion": np.clip(p + rng.normal(0, 0.1, 900), 0, 1), "baseline": p**1.1}


def texts(figure):
    return " ".join(text.get_text() for text in figure.axes[0].texts)


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()[:4]


def test_the_confusion_matrix_shows_its_counts(scored):
    y, models = scored
    figure = plots.confusion_matrix(y, models["challenger"], 0.3)
    called = models["challenger"] >= 0.3
    for count in ((y & called).sum(), (y & ~called).sum(), (~y & called).sum(), (~y & ~called).sum()):
        assert f"{count:,}" in texts(figure)
    assert png(figure) == b"\x89PNG"


def test_the_calibration_curve_names_error_and_floor(scored):
    y, models = scored
    assert "below its noise floor" in texts(plots.calibration_curve(y, models["challenger"])).replace("\n", " ")
    assert "above its noise floor" in texts(plots.calibration_curve(y, models["challenger"] ** 0.4)).replace("\n", " ")


@pytest.mark.parametrize("shown", [("challenger", "baseline"), ("challenger", "champion", "baseline")])
def test_gain_and_profit_draw_every_model_with_or_without_a_champion(scored, shown):
    y, models = scored
    some = {name: models[name] for name in shown}
    for figure in (plots.gain_curve(y, some), plots.profit_curve(y, some, 0.164, COSTS)):
        labels = " ".join(text.get_text() for text in figure.axes[0].get_legend().get_texts())
        assert [name for name in models if name in labels] == [name for name in models if name in shown]
        assert png(figure) == b"\x89PNG"


def test_the_shap_summary_lists_features_by_effect_and_leaves_the_random_state_alone():
    rng = np.random.default_rng(0)
    contributions = rng.normal(0, [1.0, 3.0, 0.1], (60, 3))
    codes = rng.random((60, 3)).astype(np.float32)
    codes[:, 2] = np.nan
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    figure = plots.shap_summary(contributions, codes, ["Price", "Contract", "Nothing"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Nothing", "Price", "Contract"]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert png(figure) == b"\x89PNG"


def test_the_importance_lists_the_largest_first_and_not_more_than_can_be_read():
    figure = plots.importance(["Price", "Price", *(f"Column {number}" for number in range(30))], [3.0, 2.0, *np.linspace(1, 0, 30)])
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown[:3] == ["Price", "Price", "Column 0"]
    assert len(shown) == len(figure.axes[0].patches) == plots.SHOWN_FEATURES
    assert png(figure) == b"\x89PNG"

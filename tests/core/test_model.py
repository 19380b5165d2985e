import hashlib

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.core.declaration import Feature
from churn.core.errors import ChurnError
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.ensemble import choose_members, log_loss, merge
from churn.core.modelling.model import ChurnModel, build_model, feature_types

FEATURES = (
    Feature(name="plan", type="category", values=("basic", "plus", "pro"), label="Plan"),
    Feature(name="region", type="category", values=None, label="Region"),
    Feature(name="loyal", type="boolean", label="Loyal"),
    Feature(name="months", type="integer", label="Months"),
    Feature(name="spend", type="number", label="Spend"),
)


def customers(count: int = 600, seed: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "plan": draw.choice(["basic", "plus", "pro"], count),
            "region": draw.choice(["north", "south", "east", "west", "centre", "abroad"], count),
            "loyal": draw.random(count) < 0.4,
            "months": draw.integers(0, 72, count),
            "spend": np.where(draw.random(count) < 0.1, np.nan, draw.gamma(2.0, 30.0, count)),
        }
    )
    score = 1.0 * (rows.plan == "basic") + 0.9 * (rows.region == "abroad") - 0.05 * rows.months + 0.01 * rows.spend.fillna(60)
    return rows, draw.random(count) < 1 / (1 + np.exp(-score))


def boost(rows: pd.DataFrame, churned: np.ndarray, **parameters: object) -> xgboost.Booster:
    features = learn_categories(FEATURES, rows)
    matrix = xgboost.QuantileDMatrix(
        encode(features, rows), churned, feature_types=feature_types(features), enable_categorical=True, nthread=1
    )
    fixed = {"objective": "binary:logistic", "base_score": 0.3, "nthread": 1, "max_cat_to_onehot": 1}
    return xgboost.train({**fixed, **parameters}, matrix, 12)


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    rows, churned = customers()
    return build_model(boost(rows, churned), learn_categories(FEATURES, rows), rows, threshold=0.2, schema_sha256="s")


def test_categories_keep_the_declared_order_and_learn_the_rest_sorted():
    rows, _ = customers()
    filled = learn_categories(FEATURES, rows)
    assert filled[0].values == ("basic", "plus", "pro")
    assert filled[1].values == ("abroad", "centre", "east", "north", "south", "west")


def test_codes_of_known_missing_and_unseen_values():
    features = learn_categories(FEATURES, customers()[0])
    rows = {"plan": ["pro", None, "gold"], "region": ["abroad", float("nan"), "moon"], "loyal": [True, None, False]}
    codes = encode(features, {**rows, "months": [3, None, 5], "spend": [1.5, 2.5, None]})
    expected = [[2, 0, 1, 3, 1.5], [np.nan, np.nan, np.nan, np.nan, 2.5], [np.nan, np.nan, 0, 5, np.nan]]
    np.testing.assert_array_equal(codes, np.array(expected, np.float32))
    assert codes.dtype == np.float32


@pytest.mark.parametrize("backend", ["numpy", "nullable", "pyarrow"])
def test_every_kind_of_data_frame_gives_the_same_codes(backend):
    rows, _ = customers(50)
    features = learn_categories(FEATURES, rows)
    rows.loc[3, "plan"] = None
    other = rows if backend == "numpy" else rows.convert_dtypes(dtype_backend={"nullable": "numpy_nullable", "pyarrow": "pyarrow"}[backend])
    lists = {name: [None if pd.isna(value) else value for value in rows[name]] for name in rows}
    np.testing.assert_array_equal(encode(features, other), encode(features, lists))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"months": [1]}, "no feature 'plan'"),
        ({"plan": ["pro"], "region": ["east"], "loyal": ["maybe"]}, "'loyal' must be a number"),
        ({"plan": ["pro"], "region": ["east"], "loyal": [True], "months": [1], "spend": [1e300]}, "'spend' holds a value"),
    ],
)
def test_rows_that_cannot_be_encoded_name_the_feature(model, rows, message):
    with pytest.raises(ChurnError, match=message):
        model.encode(rows)


def test_a_row_scores_the_same_alone_and_among_others_to_the_last_bit(model):
    rows, _ = customers(seed=5)
    together = model.predict(rows)
    alone = np.array([model.predict({name: [value] for name, value in row.items()})[0] for row in rows.to_dict("records")])
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together[::-1], model.predict(rows.iloc[::-1]))


def test_no_rows_give_no_scores(model):
    assert model.predict(customers()[0].iloc[:0]).shape == (0,)


def test_explanations_sum_to_the_log_odds(model):
    rows, _ = customers(seed=6)
    contributions, bias = model.explain(rows)
    probability = model.predict(rows)
    np.testing.assert_allclose(contributions.sum(axis=1) + bias, np.log(probability / (1 - probability)), atol=2e-5)
    assert contributions.shape == (len(rows), len(FEATURES))


def test_save_and_load_keep_scores_hash_and_golden_rows(model, tmp_path):
    model.save(tmp_path)
    loaded = ChurnModel.load(tmp_path, model.sha256)
    rows, _ = customers(seed=7)
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    assert loaded.spec == model.spec
    assert loaded.golden_difference() == 0
    assert len(loaded.spec.golden.scores) == 16
    assert loaded.sha256 == hashlib.sha256((tmp_path / "model.ubj").read_bytes() + (tmp_path / "spec.json").read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.ubj", "spec.json"]


def test_golden_rows_notice_another_booster(model):
    rows, churned = customers(seed=8)
    assert ChurnModel(boost(rows, churned), model.spec).golden_difference() > 1e-3


def test_a_flipped_bit_is_refused(model, tmp_path):
    model.save(tmp_path)
    content = bytearray((tmp_path / "model.ubj").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.ubj").write_bytes(content)
    with pytest.raises(ChurnError, match="damaged"):
        ChurnModel.load(tmp_path, model.sha256)


def test_an_absent_or_foreign_model_is_refused(model, tmp_path):
    with pytest.raises(ChurnError, match=r"model\.ubj does not exist"):
        ChurnModel.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "spec.json").write_text("{}")
    with pytest.raises(ChurnError, match="not a churn model"):
        ChurnModel.load(tmp_path)


@settings(max_examples=10)
@given(weights=st.lists(st.floats(0.1, 5), min_size=1, max_size=4))
def test_merged_boosters_predict_the_weighted_average_of_log_odds(weights):
    rows, churned = customers()
    features = learn_categories(FEATURES, rows)
    matrix = xgboost.DMatrix(encode(features, rows), feature_types=feature_types(features), enable_categorical=True)
    boosters = [boost(rows, churned, max_depth=depth, subsample=0.8, seed=depth) for depth in range(1, len(weights) + 1)]
    margins = [booster.predict(matrix, output_margin=True) for booster in boosters]
    merged = merge(boosters, weights)
    np.testing.assert_allclose(merged.predict(matrix, output_margin=True), np.average(margins, axis=0, weights=weights), atol=5e-6)
    contributions = merged.predict(matrix, pred_contribs=True)
    np.testing.assert_allclose(contributions.sum(axis=1), merged.predict(matrix, output_margin=True), atol=2e-5)


def test_boosters_of_different_base_scores_are_not_merged():
    rows, churned = customers()
    with pytest.raises(ValueError, match="base scores"):
        merge([boost(rows, churned), boost(rows, churned, base_score=0.4)], [1, 1])


def test_the_average_of_equally_good_members_beats_the_best_and_noise_weighs_nothing():
    draw = np.random.default_rng(0)
    truth = draw.normal(size=4000)
    churned = draw.random(4000) < 1 / (1 + np.exp(-truth))
    good = [truth + draw.normal(scale=0.7, size=4000) for _ in range(3)]
    margins = np.array([*good, draw.normal(scale=3, size=4000)])
    weights = choose_members(margins, churned, 4)
    assert weights.sum() == pytest.approx(1)
    assert weights[3] < 1e-3
    assert (weights[:3] > 0.1).all()
    assert log_loss(churned, weights @ margins) < min(log_loss(churned, one) for one in margins)
    assert np.count_nonzero(choose_members(margins, churned, 2)) == 2


def test_where_the_average_is_worse_than_a_yardstick_the_best_stands_alone():
    draw = np.random.default_rng(1)
    truth = draw.normal(size=60) * 2
    churned = draw.random(60) < 1 / (1 + np.exp(-truth))
    margins = np.array([np.where(churned, 2.0, -2.0), np.where(draw.random(60) < 0.9, 0.0, -30.0)])
    np.testing.assert_array_equal(choose_members(margins, churned, 2, yardsticks=(0,)), [1, 0])
    assert choose_members(margins, churned, 2)[1] > 0

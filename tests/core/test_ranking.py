import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from churn.core.evaluation.ranking import average_precision, average_precision_influence, delong


@st.composite
def scored(draw):
    """Labels of both classes and scores with many ties."""
    size = draw(st.integers(2, 40))
    labels = draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(lambda y: any(y) and not all(y)))
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=size, max_size=size))
    return np.array(labels), np.array(scores)


def population(seed=0, n=1500):
    rng = np.random.default_rng(seed)
    z = rng.normal(-1.2, 1.3, n)
    return rng, z, rng.random(n) < 1 / (1 + np.exp(-z))


@settings(max_examples=50)
@given(scored())
def test_auc_and_average_precision_are_those_of_scikit_learn(data):
    y, s = data
    assert delong(y, s)[0][0] == pytest.approx(roc_auc_score(y, s), abs=1e-12)
    assert average_precision(y, s) == pytest.approx(average_precision_score(y, s), abs=1e-12)


@settings(max_examples=50)
@given(scored(), scored())
def test_delong_covariance_is_the_one_of_its_definition(first, second):
    size = min(len(first[0]), len(second[0]))
    y, scores = first[0][:size], [first[1][:size], second[1][:size]]
    if y.sum() < 2 or (~y).sum() < 2:
        return
    kernel = [(s[y][:, None] > s[~y]) + 0.5 * (s[y][:, None] == s[~y]) for s in scores]
    expected = np.cov([k.mean(axis=1) for k in kernel]) / y.sum() + np.cov([k.mean(axis=0) for k in kernel]) / (~y).sum()
    np.testing.assert_allclose(delong(y, *scores)[1], expected, atol=1e-12)


@settings(max_examples=50)
@given(scored())
def test_only_the_order_of_the_scores_counts(data):
    y, s = data
    np.testing.assert_allclose(delong(y, np.exp(3 * s))[1], delong(y, s)[1], atol=1e-12)
    assert average_precision(y, np.exp(3 * s)) == average_precision(y, s)


def test_one_customer_in_a_class_gives_no_variance_and_no_crash():
    auc, covariance = delong([True, False, False], [0.9, 0.1, 0.2])
    assert auc[0] == 1
    assert np.isfinite(covariance).all()


def test_variances_agree_with_the_bootstrap():
    rng, z, y = population()
    score = z + rng.normal(0, 0.7, z.size)
    draws = rng.integers(0, z.size, (1000, z.size))
    boot_ap = np.std([average_precision(y[i], score[i]) for i in draws])
    boot_auc = np.std([delong(y[i], score[i])[0][0] for i in draws[:400]])
    assert np.sqrt(np.mean(average_precision_influence(y, score) ** 2) / z.size) == pytest.approx(boot_ap, rel=0.1)
    assert np.sqrt(delong(y, score)[1][0, 0]) == pytest.approx(boot_auc, rel=0.12)


def test_influences_average_to_nothing():
    rng, z, y = population()
    assert average_precision_influence(y, z + rng.normal(0, 1, z.size)).mean() == pytest.approx(0, abs=1e-9)

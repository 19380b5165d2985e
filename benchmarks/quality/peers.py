"""The models that are compared: each learns from a part and gives the churn probability of its test customers."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pandas as pd

from benchmarks.quality.tables import ROOT, Part
from churn.config import load
from churn.core.modelling.baseline import fit_baseline
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.model import feature_types
from churn.core.modelling.training import TrainingParameters, train

Model = Callable[[Part], np.ndarray]


def ours(budget: str) -> Model:
    """The project's own training, with the search inside the part."""
    raw = load(ROOT, "base").parameters["training"]
    parameters = TrainingParameters.model_validate({**raw, "budget": budget})

    def model(part: Part) -> np.ndarray:
        trained = train(part.rows, part.churned, part.customer_ids, part.features, parameters, threshold=0.5, schema_sha256="")
        return trained.model.predict(part.test_rows)

    return model


def logistic_regression(part: Part) -> np.ndarray:
    """The project's baseline."""
    return fit_baseline(part.rows, part.churned, part.features).predict(part.test_rows)


def xgboost_defaults(part: Part) -> np.ndarray:
    """XGBoost as it comes: 100 rounds, nothing set."""
    import xgboost

    features = learn_categories(part.features, part.rows)
    codes, test_codes = encode(features, part.rows), encode(features, part.test_rows)
    options = {"feature_types": feature_types(features), "enable_categorical": True}
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(codes, part.churned, **options), 100)
    return booster.predict(xgboost.DMatrix(test_codes, **options)).astype(float)


def lightgbm_defaults(part: Part) -> np.ndarray:
    """LightGBM as it comes."""
    import lightgbm

    rows, test_rows = _categorical(part)
    fitted = lightgbm.LGBMClassifier(verbose=-1, n_jobs=2, random_state=0).fit(rows, part.churned)
    return fitted.predict_proba(test_rows)[:, 1]


def catboost_bag(part: Part) -> np.ndarray:
    """Five CatBoost models at their defaults, each stopped early on another fifth, averaged in log-odds."""
    from catboost import CatBoostClassifier
    from sklearn.model_selection import StratifiedKFold

    categories = [feature.name for feature in part.features if feature.type == "category"]
    margins = []
    for inside, outside in StratifiedKFold(5, shuffle=True, random_state=0).split(part.rows, part.churned):
        model = CatBoostClassifier(cat_features=categories, early_stopping_rounds=100, thread_count=2, random_seed=0, verbose=False)
        model.fit(part.rows.iloc[inside], part.churned[inside], eval_set=(part.rows.iloc[outside], part.churned[outside]))
        margins.append(model.predict(part.test_rows, prediction_type="RawFormulaVal"))
    return 1 / (1 + np.exp(-np.mean(margins, axis=0)))


def autogluon_best(part: Part) -> np.ndarray:
    """AutoGluon at its best quality, ten minutes a part."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor("churned", eval_metric="log_loss", verbosity=0)
    predictor.fit(part.rows.assign(churned=part.churned), presets="best_quality", time_limit=600)
    return predictor.predict_proba(part.test_rows)[True].to_numpy()


PEERS: dict[str, tuple[str, Model]] = {
    "logistic regression": ("sklearn", logistic_regression),
    "XGBoost defaults": ("xgboost", xgboost_defaults),
    "LightGBM defaults": ("lightgbm", lightgbm_defaults),
    "CatBoost bag": ("catboost", catboost_bag),
    "AutoGluon best quality": ("autogluon", autogluon_best),
}
"""The library each peer needs, and the peer."""


def installed(library: str) -> bool:
    """Whether the library can be imported."""
    return find_spec(library) is not None


def _categorical(part: Part) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with pandas categories, known from the training rows."""
    types = {f.name: pd.CategoricalDtype(f.values) for f in learn_categories(part.features, part.rows) if f.type == "category"}
    return part.rows.astype(types), part.test_rows.astype(types)

"""The model that is trained, registered, evaluated and served: one booster and one spec."""

import hashlib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn.core.declaration import Feature
from churn.core.errors import ChurnError
from churn.core.modelling.encoding import Rows, encode

BOOSTER_FILE = "model.ubj"
SPEC_FILE = "spec.json"
GOLDEN_ROWS = 16


class GoldenRows(BaseModel):
    """Raw rows with the scores they must get, bit for bit: the check before a loaded model serves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: dict[str, tuple[str | bool | float | None, ...]]
    scores: tuple[float, ...]


class ModelSpec(BaseModel):
    """What the booster's file does not say.

    `features` in the booster's order, categories with their `values` filled in; `threshold` is the
    churn probability from which a customer is called a churner; `schema_sha256` is the hash of the
    declaration that the training table obeyed; `trees` counts the booster's trees.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    features: tuple[Feature, ...] = Field(min_length=1)
    threshold: float = Field(gt=0, lt=1)
    schema_sha256: str
    trees: int = Field(ge=1)
    golden: GoldenRows


class ChurnModel:
    """Encodes raw rows, scores and explains them, from two files and nothing else.

    The booster works on one thread, and a row gets the same score alone or among others, to the last bit.
    """

    def __init__(self, booster: xgboost.Booster, spec: ModelSpec) -> None:
        self.booster = booster
        self.spec = spec
        self.booster.set_param({"nthread": 1})

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names in the order of the encoded columns."""
        return tuple(feature.name for feature in self.spec.features)

    def encode(self, rows: Rows) -> NDArray[np.float32]:
        """The codes of raw rows, float32 (n, p).

        Raises:
            ChurnError: if the rows lack a feature or hold something that is not a number where one belongs.
        """
        return encode(self.spec.features, rows)

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        """The churn probability of raw rows, float64 (n,)."""
        return self.predict_encoded(self.encode(rows))

    def predict_encoded(self, codes: NDArray[np.float32]) -> NDArray[np.float64]:
        """The churn probability of encoded rows (n, p), float64 (n,)."""
        if not len(codes):
            return np.empty(0)
        return np.asarray(self.booster.inplace_predict(codes), np.float64)

    def explain(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Exact TreeSHAP in log-odds: the features' contributions (n, p) and the bias (n,).

        They sum to the logit of the prediction up to float32 rounding. Source: Lundberg et al. 2020,
        "From local explanations to global understanding with explainable AI for trees".
        """
        codes = self.encode(rows)
        matrix = xgboost.DMatrix(codes, feature_types=feature_types(self.spec.features), enable_categorical=True, nthread=1)
        parts = np.asarray(self.booster.predict(matrix, pred_contribs=True), np.float64).reshape(len(codes), len(self.names) + 1)
        return parts[:, :-1], parts[:, -1]

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return {
            BOOSTER_FILE: bytes(self.booster.save_raw("ubj")),
            SPEC_FILE: (self.spec.model_dump_json(indent=1) + "\n").encode(),
        }

    @property
    def sha256(self) -> str:
        """The hash of model.ubj followed by spec.json."""
        return files_sha256(self._files)

    def save(self, folder: str | Path) -> None:
        """Write model.ubj and spec.json; each file appears whole or not at all."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            part = target / f".{name}.{os.getpid()}"
            part.write_bytes(content)
            part.replace(target / name)

    @classmethod
    def load(cls, folder: str | Path, sha256: str | None = None) -> Self:
        """Read a saved model; with `sha256` only if the files have that hash.

        A damaged UBJSON file can crash the process or load with other predictions: pass the hash
        wherever the files have been out of sight.

        Raises:
            ChurnError: if a file is missing, has another hash, or is not a model of this program.
        """
        files = _read(Path(folder))
        found = files_sha256(files)
        if sha256 is not None and found != sha256:
            raise ChurnError(f"The model in {folder} is damaged or not the registered one: sha256 {found}, expected {sha256}.")
        return cls._from_files(files, folder)

    @classmethod
    def _from_files(cls, files: Mapping[str, bytes], folder: str | Path) -> Self:
        try:
            spec = ModelSpec.model_validate_json(files[SPEC_FILE])
            booster = xgboost.Booster()
            booster.load_model(bytearray(files[BOOSTER_FILE]))
        except (ValidationError, xgboost.core.XGBoostError) as error:
            raise ChurnError(f"The files in {folder} are not a churn model of this version: {str(error).splitlines()[0]}") from None
        if booster.num_features() != len(spec.features) or booster.num_boosted_rounds() != spec.trees:
            raise ChurnError(f"{BOOSTER_FILE} and {SPEC_FILE} in {folder} belong to different models.")
        return cls(booster, spec)

    def golden_difference(self) -> float:
        """The largest absolute difference between the golden rows' scores now and then; 0 in a sound model."""
        return float(np.max(np.abs(self.predict(self.spec.golden.rows) - np.array(self.spec.golden.scores))))


def files_sha256(files: Mapping[str, bytes]) -> str:
    """The hash of model.ubj followed by spec.json, from their contents."""
    return hashlib.sha256(files[BOOSTER_FILE] + files[SPEC_FILE]).hexdigest()


def _read(folder: Path) -> dict[str, bytes]:
    try:
        return {name: (folder / name).read_bytes() for name in (BOOSTER_FILE, SPEC_FILE)}
    except FileNotFoundError as error:
        raise ChurnError(f"There is no model in {folder}: {error.filename} does not exist.") from None


def feature_types(features: tuple[Feature, ...]) -> list[str]:
    """XGBoost's word for each feature: `c` for categories, `q` for quantities."""
    return ["c" if feature.type == "category" else "q" for feature in features]


def build_model(booster: xgboost.Booster, features: tuple[Feature, ...], rows: Rows, *, threshold: float, schema_sha256: str) -> ChurnModel:
    """A model from a trained booster, with golden rows taken evenly from the lowest to the highest score."""
    codes = encode(features, rows)
    booster.set_param({"nthread": 1})
    scores = np.asarray(booster.inplace_predict(codes), np.float64)
    order = np.argsort(scores, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(GOLDEN_ROWS, len(order))).round().astype(int)]
    golden = GoldenRows(
        rows={feature.name: tuple(_plain(feature, rows, int(place)) for place in chosen) for feature in features},
        scores=tuple(float(score) for score in scores[chosen]),
    )
    spec = ModelSpec(features=features, threshold=threshold, schema_sha256=schema_sha256, trees=booster.num_boosted_rounds(), golden=golden)
    return ChurnModel(booster, spec)


def _plain(feature: Feature, rows: Rows, place: int) -> Any:
    """One raw value as JSON can hold it."""
    column = rows[feature.name]
    one = column.iloc[place : place + 1] if hasattr(column, "iloc") else [column[place]]  # a slice keeps pandas' type, which knows NA
    if np.isnan(encode([feature], {feature.name: one})[0, 0]):
        return None
    (value,) = one
    if feature.type == "category":
        return str(value)
    return bool(value) if feature.type == "boolean" else float(value)

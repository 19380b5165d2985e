"""The champion in this process: `ChurnModel`, with a shorter way to the same number for one row."""

import ctypes
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from churn.core.declaration import Feature
from churn.core.model import ChurnModel

_log = logging.getLogger(__name__)
_NAN = float("nan")


class Scorer:
    """Scores and explains rows given in the order of the model's features.

    One row goes through XGBoost's C API on an array that is kept (a third of the CPU of `inplace_predict`); it must give
    the golden rows' scores to the last bit, or the public call is taken for one row as well.
    """

    def __init__(self, model: ChurnModel) -> None:
        self.model = model
        self.names: tuple[str, ...] = model.names
        self.threshold: float = model.spec.threshold
        self._score_one = self._direct() or self._public

    def score(self, values: Sequence[Any]) -> float:
        """The churn probability of one row. Not to be called from two threads at once.

        Raises:
            ChurnError: as `ChurnModel.predict`.
        """
        return self._score_one(values)

    def score_rows(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """The churn probabilities of n rows, equal to `score` of each. May run in any thread."""
        return [float(score) for score in self.model.predict(self._columns(rows))]

    def explain(self, rows: Sequence[Sequence[Any]]) -> Any:
        """The contributions of n rows in log-odds, float64 (n, p)."""
        return self.model.explain(self._columns(rows))[0]

    def golden_difference(self) -> float:
        """The largest difference between the golden rows' scores now and when the model was made, over both ways."""
        golden = self.model.spec.golden
        alone = [self.score([golden.rows[name][place] for name in self.names]) for place in range(len(golden.scores))]
        return max(self.model.golden_difference(), float(np.max(np.abs(np.array(alone) - np.array(golden.scores)))))

    def _columns(self, rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
        columns = zip(*rows, strict=True) if rows else ([] for _ in self.names)
        return dict(zip(self.names, (list(column) for column in columns), strict=True))

    def _public(self, values: Sequence[Any]) -> float:
        return float(self.model.predict(self._columns([values]))[0])

    def _direct(self) -> Callable[[Sequence[Any]], float] | None:
        try:
            score = _OneRow(self.model)
            golden = self.model.spec.golden
            rows = list(zip(*(golden.rows[name] for name in self.names), strict=True))
            if [score(row) for row in rows] == self.score_rows(rows):
                return score
        except (AttributeError, OSError, RuntimeError) as error:
            _log.warning("XGBoost's C API is not as expected (%s): single rows take the public call, which is slower", error)
            return None
        _log.warning("XGBoost's C API scores the golden rows otherwise: single rows take the public call, which is slower")
        return None


class _OneRow:
    """`XGBoosterPredictFromDense` on one row whose memory is reused.

    Source: XGBoost's C API, `XGBoosterPredictFromDense` and the array interface protocol it takes.
    """

    def __init__(self, model: ChurnModel) -> None:
        from xgboost.core import _LIB

        self._model, self._predict, self._handle = model, _LIB.XGBoosterPredictFromDense, model.booster.handle
        self._encoders = [_encoder(feature) for feature in model.spec.features]
        self._row = np.empty((1, len(self._encoders)), np.float32)
        self._codes = self._row[0]
        array = {"data": (self._row.ctypes.data, True), "shape": self._row.shape, "typestr": "<f4", "version": 3}
        options = {"type": 0, "training": False, "iteration_begin": 0, "iteration_end": 0, "missing": float("nan")}
        self._array = json.dumps(array).encode()
        self._options = json.dumps({**options, "strict_shape": False, "cache_id": 0}).encode()
        self._shape, self._dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        self._result = ctypes.POINTER(ctypes.c_float)()
        self._out = (ctypes.byref(self._shape), ctypes.byref(self._dimensions), ctypes.byref(self._result))

    def __call__(self, values: Sequence[Any]) -> float:
        try:
            self._codes[:] = [encode(value) for encode, value in zip(self._encoders, values, strict=True)]
        except (TypeError, ValueError, KeyError, OverflowError):
            # Not what a store holds: the public encoding knows every case and says what is wrong.
            self._codes[:] = self._model.encode({name: [value] for name, value in zip(self._model.names, values, strict=True)})[0]
        if self._predict(self._handle, self._array, self._options, None, *self._out) != 0:
            raise RuntimeError("XGBoost refused the row")
        return self._result[0]


def _encoder(feature: Feature) -> Callable[[Any], float]:
    """The code of one usual value; raises for the unusual, which `churn.core.encoding` then takes care of."""
    if feature.type == "category":
        places = {value: float(code) for code, value in enumerate(feature.values or ())}
        return _category(places)
    return _number


def _category(places: Mapping[str, float]) -> Callable[[Any], float]:
    def code(value: Any) -> float:
        if isinstance(value, str):
            return places.get(value, _NAN)
        if value is None:
            return _NAN
        raise TypeError

    return code


def _number(value: Any) -> float:
    if value is None:
        return _NAN
    if -3.4e38 < value < 3.4e38:  # noqa: PLR2004 - float32's range, which the public encoding words
        return value  # type: ignore[no-any-return]
    raise ValueError

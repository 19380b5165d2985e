"""Asks the feature store from time to time: readiness and the gauge follow it without anybody asking for a prediction."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from serving import metrics
from serving.features.breaker import Breaker, DownError
from serving.features.reader import FeatureReader, MissingFeaturesError

_log = logging.getLogger(__name__)
_FIRST_SECONDS, _SECONDS = 1.0, 15.0
_NOBODY = "-"
_ADVICE = "run `kedro run --pipelines feature_store`"


class StoreCheck:
    """What is known of the store.

    Attributes:
        warm: set once it has answered.
        examples: some of its customers.
        problem: what is wrong with what it holds, or None; whether it answers is the breaker's to say, once it is warm.
    """

    def __init__(self, features: FeatureReader, breaker: Breaker) -> None:
        self._features, self._breaker = features, breaker
        self.warm = asyncio.Event()
        self.examples: list[str] = []
        self.problem: str | None = "not asked yet"

    async def watch(self, names: Callable[[], Sequence[str]]) -> None:
        """Ask again and again. Ends by being cancelled.

        Args:
            names: the features that the champion needs.
        """
        while True:
            problem = await self._ask(names())
            if problem != self.problem and problem is not None:
                _log.error("Feature store: %s", problem)
            self.problem = problem
            await asyncio.sleep(_SECONDS if self.warm.is_set() else _FIRST_SECONDS)

    async def missing(self, names: Sequence[str]) -> Sequence[str]:
        """The features that none of the examples has. Empty too where the store is down or cannot tell."""
        try:
            found = await self._breaker.call(lambda: self._sample(names), (MissingFeaturesError,))
        except (DownError, MissingFeaturesError):
            return ()
        absent = [one for one in found if isinstance(one, MissingFeaturesError)]
        return absent[0].names if absent and len(absent) == len(found) else ()

    async def _sample(self, names: Sequence[str]) -> Sequence[object]:
        return await self._features.read(await self._features.examples() or [_NOBODY], names)

    async def _ask(self, names: Sequence[str]) -> str | None:
        try:
            self.examples = await self._breaker.call(self._features.examples, (MissingFeaturesError,))
        except MissingFeaturesError as error:
            return f"{error}; {_ADVICE}"
        except DownError as error:
            metrics.STORE_UP.set(0)
            return None if self.warm.is_set() else f"the feature store does not answer: {error.reason}"
        metrics.STORE_UP.set(1)
        self.warm.set()
        absent = await self.missing(names) if names else ()
        return f"the online store has no {', '.join(absent)}, which the model needs; {_ADVICE}" if absent else None

"""The registry as catalog entries: what nodes return is registered, what they take is loaded by alias."""

from dataclasses import replace
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from churn.core.errors import ChurnError
from churn.io.models import promotion, registry
from churn.io.models.promotion_record import PromotionRecord
from churn.io.models.registration import Candidate, register
from churn.io.models.registry import RegisteredModel


class RegisteredModelDataset(AbstractDataset[Candidate, RegisteredModel | None]):
    """A registry version behind an alias. Saving registers a new version and gives it `Staging`.

    Args:
        alias: the alias to load.
        required: False loads None where no version has the alias; True stops the run.
        record: the record of promotions; a move that a crash has left there is carried out before the alias is read, and a
            model that was rolled back is loaded as such.
        source: where the raw table lies, for the record of the run that registers a version.
    """

    def __init__(
        self,
        alias: str,
        required: bool = True,
        record: str | None = None,
        source: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._alias, self._required, self._source, self.metadata = alias, required, source, metadata
        self._record = PromotionRecord(record) if record else None
        self._loaded: RegisteredModel | None = None

    def load(self) -> RegisteredModel | None:
        """The version with its model, read once in a run.

        Raises:
            ChurnError: if it is required and there is none.
        """
        if self._loaded is None:
            self._loaded = self._load()
        if self._loaded is None and self._required:
            raise ChurnError(f"No version of {registry.MODEL_NAME} is {self._alias}. Run `kedro run --pipelines training` first.")
        return self._loaded

    def _load(self) -> RegisteredModel | None:
        if self._record is None:
            return registry.load(self._alias)
        promotion.settle(self._record)
        found = registry.load(self._alias)
        return found and replace(found, rolled_back=promotion.rolled_back(self._record).get(found.model.sha256))

    def save(self, data: Candidate) -> None:
        """Register the candidate."""
        if self._alias != registry.STAGING:
            raise DatasetError(f"A new version becomes {registry.STAGING}; {self._alias} is moved by the gate.")
        register(data, self._source)
        self._loaded = None

    def release(self) -> None:
        """Forget what was read."""
        self._loaded = None

    def _exists(self) -> bool:
        return registry.load(self._alias) is not None

    def _describe(self) -> dict[str, Any]:
        return {"model": registry.MODEL_NAME, "alias": self._alias}


class PromotionDataset(AbstractDataset[dict[str, Any], None]):
    """A gate's decision: saving it writes the version's tags and moves the alias.

    Args:
        record: the database of the lease and the record of moves.
    """

    def __init__(self, record: str, metadata: dict[str, Any] | None = None) -> None:
        self._record, self.metadata = PromotionRecord(record), metadata

    def save(self, data: dict[str, Any]) -> None:
        """Carry the decision out."""
        promotion.apply_decision(data, self._record)

    def load(self) -> NoReturn:
        """There is nothing to load: `churn status` shows what was decided."""
        raise DatasetError("A promotion is written only; `churn status` shows the registry.")

    def _describe(self) -> dict[str, Any]:
        return {"model": registry.MODEL_NAME}

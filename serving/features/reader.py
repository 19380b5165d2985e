"""What every reader of a customer's features answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

EXAMPLES = 20


class Row(NamedTuple):
    """One customer's values in the order asked for, and the time they describe (UTC)."""

    values: list[Any]
    as_of: datetime


class MissingFeaturesError(Exception):
    """The store knows the customer but not these features: what it holds of the customer and the model are of different declarations."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"the online store has no {', '.join(names)}")
        self.names = tuple(names)


Found = Row | MissingFeaturesError | None
"""What the store has of one customer: a row, one that lacks features (the error names them), or nothing."""


class FeatureReader(Protocol):
    """Where features are read. An exception means the store is down, but for `examples` of an empty one."""

    async def read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        """What is found of each customer, in the order asked."""

    async def examples(self) -> list[str]:
        """Some customer ids of the store, at most `EXAMPLES`; empty where a store cannot tell.

        Raises:
            MissingFeaturesError: if the store holds nothing at all.
        """

    async def close(self) -> None:
        """Let go of connections and threads."""

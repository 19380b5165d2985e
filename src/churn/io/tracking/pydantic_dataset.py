"""Pydantic models as JSON files of the catalog."""

from typing import Any

from kedro.utils import load_obj
from pydantic import BaseModel

from churn.io.files.whole import WholeFileDataset


class PydanticDataset(WholeFileDataset):
    """A JSON file that is saved from, and loads as, one pydantic model.

    Args:
        filepath: where the file is, local or remote.
        model: the model's class as a dotted path.
        options: what `json.JSONDataset` takes.
    """

    def __init__(self, *, filepath: str, model: str, metadata: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__({"type": "json.JSONDataset", "filepath": filepath, **options}, metadata)
        self._model: type[BaseModel] = load_obj(model)

    def load(self) -> BaseModel:
        """The model, validated."""
        return self._model.model_validate(super().load())

    def save(self, data: BaseModel) -> None:
        """Write the model as JSON."""
        super().save(data.model_dump(mode="json"))

"""Pydantic models as JSON files of the catalog."""

from typing import Any

from kedro.utils import load_obj
from kedro_datasets.json import JSONDataset
from pydantic import BaseModel


class PydanticDataset(JSONDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A JSON file that is saved from, and loads as, one pydantic model.

    Args:
        filepath: where the file is, local or remote.
        model: the model's class as a dotted path.
        options: what `json.JSONDataset` takes.
    """

    def __init__(self, *, filepath: str, model: str, **options: Any) -> None:
        super().__init__(filepath=filepath, **options)
        self._model: type[BaseModel] = load_obj(model)

    def load(self) -> BaseModel:
        """The model, validated."""
        return self._model.model_validate(super().load())

    def save(self, data: BaseModel) -> None:
        """Write the model as JSON."""
        super().save(data.model_dump(mode="json"))

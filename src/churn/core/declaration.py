"""The declaration of the customer table: what every other part reads to know the columns."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from churn.core.errors import DeclarationError, mistakes
from churn.core.texts import spaced

ColumnType = Literal["category", "boolean", "integer", "number"]


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("YAML reads an unquoted Yes, No, on or off as true or false: put it in quotes")
    return value if value is None else str(value)


Text = Annotated[str, BeforeValidator(_text)]

CUSTOMER_ID = "customer_id"
EVENT_TIMESTAMP = "event_timestamp"
CHURNED = "churned"
SPLIT = "split"
TRAIN, TEST = "train", "test"
"""The sides of the split."""
RESERVED = frozenset({CUSTOMER_ID, EVENT_TIMESTAMP, CHURNED, SPLIT})
"""Names that the pipelines add to the customer table; no declared column may take one."""


def why_no_feature(name: str) -> str | None:
    """Why no feature may have this name; None if one may. Feast 0.67 loses or mixes up the columns named here."""
    if name.casefold() in RESERVED:
        return "the pipelines use this name"
    if ":" in name:
        return "Feast splits names at the colon"
    if name.endswith("_y"):
        return "Feast drops every column that ends in _y"
    if name.startswith("__") or name.endswith("__ts") or name.casefold() == "entity_row_id":
        return "Feast uses this name"
    return None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One raw column that becomes a feature.

    `values` are the allowed categories (None: learned from the training rows), `min` and `max`
    are inclusive, `blank` is what an empty cell means, `null` allows missing values, `label` is
    the name shown to people, and `actionable` marks what the business can change.
    """

    type: ColumnType
    values: tuple[Text, ...] | None = None
    min: float | None = None
    max: float | None = None
    null: bool = False
    blank: str | float | bool | None = None
    unit: str | None = None
    label: str | None = None
    actionable: bool = False

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> Self:
        if self.values is not None and self.type != "category":
            raise ValueError(f"`values` belongs to type category, not {self.type}")
        if (self.min is not None or self.max is not None) and self.type not in ("integer", "number"):
            raise ValueError(f"`min` and `max` belong to integer and number, not {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min} is above `max` {self.max}")
        if self.values is not None and len(set(self.values)) < len(self.values):
            raise ValueError("`values` lists a value twice")
        return self


class Target(_Strict):
    """The column that says who left, and the value that means it; every other value means stayed."""

    column: str
    positive: Text
    negative: Text | None = None


class Feature(_Strict):
    """What a model, Feast and the API know of one feature: name, type, values and texts for people."""

    name: str
    type: ColumnType
    values: tuple[str, ...] | None = None
    unit: str | None = None
    label: str
    actionable: bool = False


class Declaration(_Strict):
    """The customer table of `conf/base/parameters/customers.yml`, checked against itself."""

    key: str
    target: Target
    observed_at: str | None = None
    columns: dict[str, Column] = Field(min_length=1)
    derived: dict[str, str] = {}
    ignore: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _every_name_has_one_role(self) -> Self:
        roles = [self.key, self.target.column, *self.columns, *self.derived, *self.ignore]
        if self.observed_at is not None:
            roles.append(self.observed_at)
        folded = [name.casefold() for name in roles]  # SQL names do not differ by case
        twice = sorted({name for name in roles if folded.count(name.casefold()) > 1})
        if twice:
            raise ValueError(f"declared twice (case does not count): {', '.join(twice)}")
        refused = [f"{name} ({why})" for name in (*self.columns, *self.derived) if (why := why_no_feature(name)) is not None]
        if refused:
            raise ValueError(f"no names of features; rename the columns in the file, or list them under `ignore`: {', '.join(refused)}")
        return self

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Build a declaration from the `customers` parameters.

        Raises:
            DeclarationError: with one line per mistake, naming the entry.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            lines = [f"  {line}" for line in mistakes(error, "customers")]
            raise DeclarationError("The declaration of the customer table has mistakes:\n" + "\n".join(lines)) from None

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Every column that the raw file must hold, `ignore` left out."""
        time = () if self.observed_at is None else (self.observed_at,)
        return (self.key, self.target.column, *time, *self.columns)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The model's features in order: declared columns, then derived ones (type number)."""
        declared = [
            Feature(name=name, type=c.type, values=c.values, unit=c.unit, label=c.label or _words(name), actionable=c.actionable)
            for name, c in self.columns.items()
        ]
        return (*declared, *(Feature(name=name, type="number", label=_words(name)) for name in self.derived))

    @property
    def sha256(self) -> str:
        """Hash of everything declared: the `schema_sha256` of a model version."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def _words(name: str) -> str:
    """`MonthlyCharges` and `monthly_charges` as `Monthly charges`."""
    words = spaced(name).replace("_", " ").split()
    return " ".join([words[0][:1].upper() + words[0][1:], *(w if w.isupper() else w.lower() for w in words[1:])]) if words else name

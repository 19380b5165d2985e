"""What the business can change, as the page's controls: built from the declaration of the customer table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from churn.core.declaration import Column, Declaration

Kind = Literal["choice", "yes-no", "number"]
NOT_KNOWN = ""
"""What a control holds where the value is missing."""
_YES, _NO = "yes", "no"


@dataclass(frozen=True)
class Control:
    """One column that can be tried out. `options` are pairs of text and value; `open` lets other values be typed."""

    column: str
    label: str
    kind: Kind
    options: tuple[tuple[str, str], ...] = ()
    open: bool = False
    minimum: float | None = None
    maximum: float | None = None
    whole: bool = False

    def shown(self, value: Any) -> Any:
        """What the control holds for a column's value."""
        if self.kind == "number":
            return value
        if value is None:
            return NOT_KNOWN
        return (_YES if value else _NO) if self.kind == "yes-no" else str(value)

    def meant(self, shown: Any) -> Any:
        """The column's value for what the control holds."""
        if shown is None or (self.kind != "number" and shown == NOT_KNOWN):
            return None
        return shown == _YES if self.kind == "yes-no" else shown

    def options_with(self, shown: Any) -> list[tuple[str, str]]:
        """The options, and the customer's own value where it is none of them."""
        values = [value for _, value in self.options]
        own = [] if shown in values else [("Not known" if shown == NOT_KNOWN else f"{shown}", shown)]
        return [*self.options, *own]


def controls(declaration: Declaration) -> tuple[Control, ...]:
    """A control for each actionable column, in the declared order."""
    labels = {feature.name: feature.label for feature in declaration.features}
    return tuple(_control(name, labels[name], column) for name, column in declaration.columns.items() if column.actionable)


def changes(known: Sequence[Control], before: Mapping[str, Any], now: Sequence[Any]) -> dict[str, Any]:
    """The columns whose control was moved, with the values to try.

    Args:
        known: the controls.
        before: column -> what its control held for the customer as is.
        now: what each control holds, in the same order.
    """
    return {control.column: control.meant(shown) for control, shown in zip(known, now, strict=True) if shown != before.get(control.column)}


def _control(name: str, label: str, column: Column) -> Control:
    missing = ((("Not known", NOT_KNOWN),)) if column.null else ()
    if column.type == "boolean":
        return Control(name, label, "yes-no", (("Yes", _YES), ("No", _NO), *missing))
    if column.type == "category":
        return Control(name, label, "choice", (*((value, value) for value in column.values or ()), *missing), open=column.values is None)
    unit = f" ({column.unit})" if column.unit else ""
    return Control(name, label + unit, "number", minimum=column.min, maximum=column.max, whole=column.type == "integer")

"""Features that give the answer away: the ROC-AUC of each feature alone, as an Ibis expression.

Numbers are read in their order, with missing values below and then above all others. Categories,
booleans and numbers of few values are read in the order of their churn rates, missing being a value of
its own and values of fewer than `POOLED` rows taken together. The largest AUC counts, in either direction.
"""

from typing import TYPE_CHECKING

from churn.core.declaration import CHURNED, Declaration
from churn.core.raw_table.derived import with_derived
from churn.core.raw_table.expressions import churned, digits, trimmed, typed_columns
from churn.core.split import LEAK_DIGITS, hex_bound

if TYPE_CHECKING:
    import ibis.expr.types as ir

POOLED = 5
"""Rows below which a value is pooled with the other rare ones: its own churn rate would be chance."""
CODES = 20
"""Distinct values up to which a number may be a code, whose order means nothing."""
FEWEST = 10
"""Rows of each class below which nothing is measured."""


def leak_sample(raw: "ir.Table", declaration: Declaration, rows: int, wanted: int) -> "ir.Table":
    """Label and features of about `wanted` of the table's `rows`, chosen by hash of the key."""
    if rows > wanted:
        raw = raw.filter(digits(trimmed(raw[declaration.key]), LEAK_DIGITS) < hex_bound(wanted / rows))
    table = raw.select(churned(raw, declaration).name(CHURNED), *typed_columns(raw, declaration))
    return with_derived(table, declaration.derived)


def single_feature_auc(sample: "ir.Table", declaration: Declaration) -> "ir.Table":
    """One row per feature of a `leak_sample`: `feature`, `auc` (at least 0.5); none where a class has fewer than 10 rows.

    AUC by the Mann-Whitney count: the share of pairs of a churned and a staying customer in the right order, ties half.
    """
    import ibis

    groups = _groups(sample, declaration)
    lowest, highest = (groups.mutate(order=groups.number.fill_null(end)) for end in (float("-inf"), float("inf")))
    aucs = ibis.union(_auc(_by_rate(groups)), *(_auc(table.filter(table.numeric)) for table in (lowest, highest)))
    return aucs.group_by("feature").agg(auc=aucs.auc.max()).order_by("feature")


def _groups(sample: "ir.Table", declaration: Declaration) -> "ir.Table":
    """The distinct values of every feature: as number or text, how many rows have it, how many of them churned."""
    import ibis

    cells = ibis.array([_cell(sample, feature.name, feature.type in ("integer", "number")) for feature in declaration.features])
    table = sample.select(CHURNED, cell=cells.unnest()).unpack("cell")
    groups = table.group_by(["feature", "numeric", "number", "value", "missing"]).agg(
        n=table.count(), positive=table.count(where=table[CHURNED])
    )
    return groups.mutate(values=groups.count().over(group_by=groups.feature))


def _cell(sample: "ir.Table", name: str, numeric: bool) -> "ir.StructValue":
    import ibis

    value = sample[name]
    return ibis.struct(
        {
            "feature": ibis.literal(name),
            "numeric": ibis.literal(numeric),
            "number": value.cast("float64") if numeric else ibis.null("float64"),
            "value": ibis.null("string") if numeric else value.cast("string"),
            "missing": value.isnull(),
        }
    )


def _by_rate(groups: "ir.Table") -> "ir.Table":
    """The values in the order of their churn rate, rare ones pooled; numbers only where they are few enough to be codes."""
    groups = groups.filter(~groups.numeric | (groups["values"] <= CODES))
    rare = (groups.n < POOLED) & ~groups.missing
    table = groups.mutate(rare=rare, number=rare.ifelse(None, groups.number), value=rare.ifelse(None, groups.value))
    pooled = table.group_by(["feature", "number", "value", "missing", "rare"]).agg(n=table.n.sum(), positive=table.positive.sum())
    return pooled.mutate(order=pooled.positive / pooled.n)


def _auc(groups: "ir.Table") -> "ir.Table":
    """AUC per feature of values in the order of `order`, in its better direction."""
    import ibis

    tied = groups.group_by(["feature", "order"]).agg(n=groups.n.sum(), positive=groups.positive.sum())
    tied = tied.mutate(negative=tied.n - tied.positive)
    below = tied.negative.sum().over(ibis.cumulative_window(group_by=tied.feature, order_by=tied.order)) - tied.negative / 2
    pairs = tied.mutate(pairs=tied.positive * below)
    total = pairs.group_by("feature").agg(
        share=pairs.pairs.sum() / (pairs.positive.sum() * pairs.negative.sum()),
        positive=pairs.positive.sum(),
        negative=pairs.negative.sum(),
    )
    enough = total.filter((total.positive >= FEWEST) & (total.negative >= FEWEST))
    return enough.select("feature", auc=ibis.greatest(enough.share, 1 - enough.share))

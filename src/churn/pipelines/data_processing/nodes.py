"""Nodes of data processing: Ibis expressions in and out; the catalog's datasets run them."""

from collections.abc import Mapping
from typing import Any

from churn.core.declaration import CHURNED, CUSTOMER_ID, EVENT_TIMESTAMP, SPLIT, TEST, TRAIN, Declaration
from churn.core.errors import ChurnError, DeclarationError
from churn.core.lazy_types import Table
from churn.core.raw_table.breaches import Breach
from churn.core.raw_table.parameters import ProcessingParameters

Rows = list[dict[str, Any]]
ISO = "%Y-%m-%dT%H:%M:%SZ"


def count_breaches(raw: Table, declaration: Declaration) -> tuple[list[Breach], dict[str, Table], dict[str, Table]]:
    """Compare the columns with the declared ones, and count the rows that break each rule.

    Returns:
        The breaches that the names and the derived expressions alone show, one-row tables of counts, and such tables
        by derived feature, which may fail on some value.
    """
    from churn.core.raw_table.breaches import bad_expression, column_breaches
    from churn.core.raw_table.checks import class_counts, derived_counts, row_checks, rule_counts

    breaches, derived = column_breaches(raw.columns, declaration), {}
    tables = {"rows and classes": class_counts(raw, declaration)}
    if row_checks(raw, declaration):  # none where no column is as declared
        tables["the rules of the declaration"] = rule_counts(raw, declaration)
    for name in declaration.derived if set(declaration.columns) <= set(raw.columns) else ():
        try:
            derived[name] = derived_counts(raw, declaration, name)
        except DeclarationError as error:
            breaches.append(bad_expression(name, str(error)))
    return breaches, tables, derived


def add_derived(
    breaches: list[Breach], counts: Mapping[str, Rows], derived: Mapping[str, Rows], declaration: Declaration
) -> tuple[list[Breach], dict[str, Rows]]:
    """The breaches and counts with those of the derived features: one that fails on some value is a breach."""
    from churn.core.raw_table.breaches import failed_expressions

    failed = failed_expressions({name: rows[0] for name, rows in derived.items()}, declaration)
    refused = {breach.column for breach in failed}
    return [*breaches, *failed], {**counts, **{name: rows for name, rows in derived.items() if name not in refused}}


def measure_leaks(
    raw: Table, breaches: list[Breach], counts: Mapping[str, Rows], declaration: Declaration, parameters: ProcessingParameters
) -> dict[str, Table]:
    """The ROC-AUC of each feature alone, and the rows on each side of the split, where the table allows to tell."""
    from churn.core.raw_table.checks import side_counts
    from churn.core.raw_table.leaks import FEWEST, leak_sample, single_feature_auc

    if parameters.split.test_from is not None and declaration.observed_at is None:
        raise ChurnError(
            "data_processing.split.test_from cuts in time, which needs `observed_at` in the declaration of the customer table."
        )
    known = _known_part(raw, breaches, declaration)
    found = _merged(counts)
    if known is None or min(found["positives"], found["negatives"]) < 1:
        return {}
    tables = {"the split": side_counts(raw, declaration, parameters)}
    if min(found["positives"], found["negatives"]) >= FEWEST:
        tables["the single-feature AUC"] = single_feature_auc(leak_sample(raw, known, found["rows"], parameters.leak_rows), known)
    return tables


def find_examples(raw: Table, counts: Mapping[str, Rows], declaration: Declaration) -> dict[str, Table]:
    """Up to three rows for each rule that is broken."""
    from churn.core.raw_table.breaches import broken
    from churn.core.raw_table.checks import examples

    return examples(raw, declaration, set(broken(_merged(counts), declaration)))


def check_table(
    breaches: list[Breach],
    counts: Mapping[str, Rows],
    examples: Mapping[str, Rows],
    measured: Mapping[str, Rows],
    fingerprint: Mapping[str, Any],
    declaration: Declaration,
    parameters: ProcessingParameters,
) -> dict[str, Any]:
    """Stop unless the table keeps its declaration.

    Returns:
        What was found: `rows`, `blanks` by column, `single_feature_auc` by feature.

    Raises:
        BreachError: with every breach in one message.
    """
    from churn.core.raw_table.breaches import leak_breaches, refuse, row_breaches, split_breaches
    from churn.core.raw_table.rules import Rule, count_name

    found = _merged(counts)
    aucs = {row["feature"]: row["auc"] for row in measured.get("the single-feature AUC", [])}
    every = [*breaches, *row_breaches(found, examples, declaration), *leak_breaches(aucs, parameters.leak_auc)]
    every += split_breaches(measured.get("the split"), declaration.target.column, parameters.split.test_share)
    refuse(every, str(fingerprint["name"]), declaration.key)
    blanks = {name: found[count_name(Rule.BLANK, name)] for name in declaration.columns}
    return {"rows": found["rows"], "blanks": {name: rows for name, rows in blanks.items() if rows}, "single_feature_auc": aucs}


def type_customers(raw: Table, _checked: Mapping[str, Any], declaration: Declaration, parameters: ProcessingParameters) -> Table:
    """Key, time, label, side and features of the checked table, typed and cleaned; its rows in the file's order."""
    from churn.core.raw_table.expressions import customers

    return customers(raw, declaration, parameters)


def select_features(customers: Table) -> Table:
    """What the feature store serves: the customers without label and side."""
    return customers.drop(CHURNED, SPLIT)


def count_customers(customers: Table) -> Table:
    """Rows, churned customers and time range of each side."""
    time = customers[EVENT_TIMESTAMP]
    return (
        customers.group_by(SPLIT)
        .agg(
            rows=customers.count(),
            customers=customers[CUSTOMER_ID].nunique(),
            churned=customers.count(where=customers[CHURNED]),
            first=time.min().strftime(ISO),
            last=time.max().strftime(ISO),
        )
        .order_by(SPLIT)
    )


def summarise(
    sides: Rows,
    checked: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    written: Mapping[str, Any],
    _features: Table,
    declaration: Declaration,
    parameters: ProcessingParameters,
) -> dict[str, Any]:
    """What went in and what came out, for the report and the terminal; the hash of the written customers binds training to it."""
    by_side = {row[SPLIT]: row for row in sides}
    rows = sum(row["rows"] for row in sides)
    return {
        "source": dict(fingerprint),
        "customers_sha256": written["sha256"],
        "schema_sha256": declaration.sha256,
        "rows_in": checked["rows"],
        "rows_out": rows,
        TRAIN: by_side[TRAIN]["rows"],
        TEST: by_side[TEST]["rows"],
        "churn_rate": sum(row["churned"] for row in sides) / rows,
        "sides": {
            side: {**{k: v for k, v in row.items() if k != SPLIT}, "churn_rate": row["churned"] / row["rows"]}
            for side, row in by_side.items()
        },
        "split": parameters.split.model_dump(mode="json"),
        "blanks": checked["blanks"],
        "single_feature_auc": checked["single_feature_auc"],
    }


def _merged(counts: Mapping[str, Rows]) -> dict[str, Any]:
    """The one-row tables of counts as one mapping."""
    return {"positives": None, "negatives": None} | {name: value for rows in counts.values() for name, value in rows[0].items()}


def _known_part(raw: Table, breaches: list[Breach], declaration: Declaration) -> Declaration | None:
    """The declaration without the columns that the table lacks; None where key, target or time are among them."""
    present = {name: column for name, column in declaration.columns.items() if name in raw.columns}
    needed = {declaration.key, declaration.target.column, declaration.observed_at} - {None}
    if not needed <= set(raw.columns) or not present:
        return None
    refused = {breach.column for breach in breaches}
    derived = (
        {name: sql for name, sql in declaration.derived.items() if name not in refused} if len(present) == len(declaration.columns) else {}
    )
    return declaration.model_copy(update={"columns": present, "derived": derived})

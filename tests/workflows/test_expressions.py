import pytest

from tests.workflows.expressions import Open, UnknownExpressionError, condition, evaluate, filled

CONTEXT = {
    "github": {"event_name": "push", "event": {}, "sha": "abc"},
    "vars": Open(),
    "steps": Open(),
    "needs": {"train": {"result": "success", "outputs": Open(outcome="promoted")}},
    "functions": {"success": lambda: True, "failure": lambda: False, "always": lambda: True, "cancelled": lambda: False},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("github.event_name == 'push'", True),
        ("github.event_name != 'push' || 'x'", "x"),
        ("vars.CHURN_RUNNER || 'ubuntu-latest'", "ubuntu-latest"),
        ("!cancelled() && (needs.train.outputs.outcome == 'promoted' || failure())", True),
        ("needs.train.outputs.outcome == 'promoted' && 'yes' || 'no'", "yes"),
        ("needs.train.outputs.nothing", None),
        ("steps.skipped.outputs.nothing", None),
        ("'it''s'", "it's"),
        ("'Push' == github.event_name", True),
    ],
)
def test_expressions_mean_what_they_mean_on_github(text, value):
    assert evaluate(text, CONTEXT) == value


@pytest.mark.parametrize(
    "text", ["github.nothing", "secrets.TOKEN", "hashFiles('a')", "1 + 1", "github.event_name ==", "(true", "true true"]
)
def test_what_is_not_known_is_an_error(text):
    with pytest.raises(UnknownExpressionError):
        evaluate(text, CONTEXT)


def test_texts_and_conditions():
    assert filled("a ${{ github.sha }} b ${{ vars.X }}", CONTEXT) == "a abc b "
    failed = {**CONTEXT, "functions": {**CONTEXT["functions"], "success": lambda: False, "failure": lambda: True}}
    assert condition(None, CONTEXT)
    assert not condition(None, failed)
    assert not condition("github.event_name == 'push'", failed)
    assert condition("failure() && github.event_name == 'push'", failed)
    assert condition("${{ !cancelled() }}", failed)

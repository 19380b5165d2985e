"""The champion moves by the gate, by hand and back; whatever a crash leaves, the next move puts right."""

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
from kedro.io import DatasetError

from churn.core.errors import ChurnError
from churn.io.models import promotion, registry
from churn.io.models.promotion_record import LeaseLostError, PromotionRecord
from churn.io.models.registry import CHAMPION, PREVIOUS
from churn.io.models.registry_datasets import RegisteredModelDataset
from tests.promotions import bare_registry, decision, end_lease, gate, in_child, start


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """The database of four versions, 1 is champion."""
    folder = tmp_path_factory.mktemp("four")
    uri = bare_registry(folder, 4)
    gate(PromotionRecord(uri), "1")
    return folder / "mlflow.db"


@pytest.fixture
def url(four: Path, tmp_path: Path) -> str:
    """A copy of the registry, to change; the record lies in the tracking database, as in `base`."""
    shutil.copy(four, tmp_path / "mlflow.db")
    registry.connect(f"sqlite:///{tmp_path}/mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def record(url: str) -> PromotionRecord:
    return PromotionRecord(url)


def champions() -> tuple[str | None, str | None]:
    found = registry.aliases()
    return found.get(CHAMPION), found.get(PREVIOUS)


def changes(record: PromotionRecord) -> list[tuple[str, str | None, str | None, str]]:
    return [(move.action, move.from_version, move.to_version, move.outcome) for move in record.moves()]


def test_a_promotion_moves_both_aliases_tags_the_version_and_is_on_record(record):
    gate(record, "2")
    assert champions() == ("2", "1")
    tags = registry.version_entry("2").tags
    assert (tags["gate"], tags["gate_reason"], tags["compared_with"]) == ("promoted", "2 is better than 1", "1")
    first, second = record.moves()
    assert (first.from_version, first.to_version) == (None, "1")
    assert (second.action, second.from_version, second.to_version, second.outcome) == ("promote", "1", "2", "done")
    assert second.reason == "2 is better than 1"
    assert second.who == promotion.who()
    assert second.token > first.token


def test_the_actor_of_a_workflow_is_on_record(record, monkeypatch):
    for name, value in {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ada", "GITHUB_RUN_ID": "77"}.items():
        monkeypatch.setenv(name, value)
    gate(record, "2")
    assert record.moves()[-1].who == "ada in workflow run 77"


@pytest.mark.parametrize("outcome", ["rejected", "kept", "awaiting-approval"])
def test_what_is_not_promoted_is_tagged_and_moves_nothing(record, outcome):
    promotion.apply_decision(decision("2", "1", outcome), record)
    assert champions() == ("1", None)
    assert registry.version_entry("2").tags["gate"] == outcome
    assert len(record.moves()) == 1


def test_a_decision_against_a_champion_of_the_past_moves_nothing_and_claims_nothing(record):
    gate(record, "2")
    with pytest.raises(ChurnError, match="champion changed from version 1 to 2"):
        promotion.apply_decision(decision("3", "1"), record)
    assert champions() == ("2", "1")
    assert "gate" not in registry.version_entry("3").tags
    assert len(record.moves()) == 2


def test_a_version_without_its_files_is_not_made_champion(record):
    with pytest.raises(ChurnError, match="version 2 cannot be read"):
        promotion.promote("2", "because", record)
    with pytest.raises(ChurnError, match="no version 77"):
        promotion.promote("77", "because", record)
    assert champions() == ("1", None)


def test_an_approval_that_comes_too_late_needs_force(record, monkeypatch):
    monkeypatch.setattr(registry, "load_version", registry.version_entry)  # there are no files here
    promotion.apply_decision(decision("2", "1", "awaiting-approval"), record)
    promotion.apply_decision(decision("4", "1", "awaiting-approval"), record)
    promotion.promote("2", "approved", record)
    with pytest.raises(ChurnError, match=r"changed from version 1 to 2 since version 4 .*`churn promote 4 --force`"):
        promotion.promote("4", "approved late", record)
    assert champions() == ("2", "1")
    assert len(record.moves()) == 2
    promotion.promote("4", "I know better", record, force=True)
    assert champions() == ("4", "2")


def test_only_an_approval_is_bound_to_the_champion_that_was_met(record, monkeypatch):
    monkeypatch.setattr(registry, "load_version", registry.version_entry)
    promotion.apply_decision(decision("3", "1", "rejected"), record)
    gate(record, "2")
    promotion.promote("3", "a person decides", record)
    assert champions() == ("3", "2")


def test_rollback_needs_a_previous_champion(record):
    with pytest.raises(ChurnError, match="no previous champion"):
        promotion.rollback("because", record)


def test_a_move_by_other_means_is_put_on_record_and_kept(record):
    registry.set_alias(CHAMPION, "4")
    gate(record, "2")
    assert changes(record)[1:] == [("outside", "1", "4", "done"), ("promote", "4", "2", "done")]
    assert champions() == ("2", "4")


def test_a_champion_that_somebody_took_away_is_noted_though_who_notes_it_dies(record):
    registry.client().delete_registered_model_alias(registry.MODEL_NAME, CHAMPION)
    with record.lease("who dies") as token:
        noted = {"action": promotion.OUTSIDE, "from_version": "1", "to_version": None, "previous": None}
        record.begin(token, {**noted, "who": "unknown", "reason": "moved by other means", "tags": {}})
    promotion.settle(record)
    assert changes(record)[1:] == [("outside", "1", None, "done")]
    gate(record, "2")
    assert champions()[0] == "2"


STEPS = ("begin", "tag", PREVIOUS, CHAMPION, "finish")


def dying(record: PromotionRecord, step: str, moment: str) -> None:
    """Promote 2 and die without a word just before or after a step."""

    def broken(whole, names):
        def call(*arguments):
            if moment == "before" and names(arguments):
                os._exit(9)
            found = whole(*arguments)
            if names(arguments):
                os._exit(9)
            return found

        return call

    record.begin = broken(record.begin, lambda _: step == "begin")
    record.finish = broken(record.finish, lambda _: step == "finish")
    registry.tag = broken(registry.tag, lambda _: step == "tag")
    registry.set_alias = broken(registry.set_alias, lambda arguments: arguments[0] == step)
    gate(record, "2")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_is_healed_by_the_next_move(record, url, step, moment):
    assert in_child(lambda: dying(PromotionRecord(url), step, moment)) == 9
    end_lease(url)
    assert champions()[0] in ("1", "2")  # never none, never half a version
    promotion.heal(record)
    begun = (step, moment) != ("begin", "before")
    assert champions() == (("2", "1") if begun else ("1", None))
    assert all(move.outcome == "done" for move in record.moves())
    assert len(record.moves()) == 1 + begun
    if begun:
        assert registry.version_entry("2").tags["gate"] == "promoted"
    gate(record, "3")
    assert champions() == ("3", "2" if begun else "1")


def test_whoever_compares_with_the_champion_sees_what_a_crash_has_left_done(url):
    assert in_child(lambda: dying(PromotionRecord(url), CHAMPION, "before")) == 9
    assert champions()[0] == "1"
    end_lease(url)
    with pytest.raises(DatasetError, match="version 2 cannot be read"):  # there are no files here, but it is version 2
        RegisteredModelDataset(CHAMPION, record=url).load()
    assert champions() == ("2", "1")


def paused(record: PromotionRecord, after_the_move) -> None:
    """Promote 2, and stop right before the alias moves, until a signal comes."""
    whole = registry.set_alias

    def set_alias(alias: str, number: str) -> None:
        if alias == CHAMPION and number == "2":
            os.kill(os.getpid(), signal.SIGSTOP)
            whole(alias, number)
            after_the_move()
        else:
            whole(alias, number)

    registry.set_alias = set_alias
    try:
        gate(record, "2")
    except LeaseLostError:
        os._exit(3)


def overtake(record: PromotionRecord, url: str, after_the_move) -> int:
    """While a promotion of 2 is stopped its lease ends, another holder closes it and promotes 3; then it goes on."""
    child = start(lambda: paused(PromotionRecord(url), after_the_move))
    try:
        while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.02)
        end_lease(url)
        promotion.heal(record)  # the other holder
        gate(record, "3")
        assert champions() == ("3", "2")
    finally:
        os.kill(child.pid, signal.SIGCONT)
    child.join(60)
    return child.exitcode


def test_a_holder_that_comes_back_after_its_lease_puts_the_champion_back_and_says_so(record, url):
    assert overtake(record, url, lambda: None) == 3
    assert champions() == ("3", "2")
    assert changes(record)[1:] == [("promote", "1", "2", "done"), ("promote", "2", "3", "done"), ("restore", "2", "3", "done")]


def test_a_holder_that_comes_back_and_dies_is_put_right_by_the_next_move(record, url):
    assert overtake(record, url, lambda: os._exit(9)) == 9
    assert champions()[0] == "2"
    promotion.heal(record)
    assert champions() == ("3", "2")
    assert [move[0] for move in changes(record)] == ["promote", "promote", "promote", "restore"]


def test_nothing_is_written_under_a_lease_that_has_ended(record):
    planned = {"action": "promote", "from_version": "1", "to_version": "2", "previous": "1", "who": "x", "reason": "y", "tags": {}}
    with record.lease("one") as old:
        pass
    with record.lease("two") as new:
        assert new == old + 1
        with pytest.raises(LeaseLostError):
            record.begin(old, planned)
        with pytest.raises(LeaseLostError):
            record.require(old)
        move = record.begin(new, planned)
        with pytest.raises(LeaseLostError):
            record.finish(old, move.number)
        record.finish(new, move.number)


def test_a_long_holder_is_named(record, url):
    impatient = PromotionRecord(url, wait_seconds=0.2)
    with record.lease("ada@laptop"), pytest.raises(ChurnError, match="by ada@laptop"), impatient.lease("me"):
        pass


@pytest.mark.parametrize("address", ["http://localhost:5000", "nonsense", "mysql://user:sesame@host/db"])
def test_a_record_that_is_no_database_is_refused_without_the_secret(address):
    with pytest.raises(ChurnError, match="promotions") as found:
        PromotionRecord(address).moves()
    assert "sesame" not in str(found.value)


def test_a_record_that_does_not_answer_is_named_without_the_secret():
    with pytest.raises(ChurnError, match=r"127\.0\.0\.1:9/churn, does not answer") as found:
        PromotionRecord("postgresql+psycopg://churn:sesame@127.0.0.1:9/churn").moves()
    assert "sesame" not in str(found.value)


def test_a_rollback_is_remembered_until_the_model_becomes_champion_again(record):
    hashes = {version: registry.version_entry(version).tags[registry.MODEL_SHA256] for version in ("1", "2", "3")}
    gate(record, "2")
    assert promotion.rolled_back(record) == {}
    roll_back(record)
    assert promotion.rolled_back(record) == {hashes["2"]: "2"}
    gate(record, "3")
    assert promotion.rolled_back(record) == {hashes["2"]: "2"}
    gate(record, "2")
    assert promotion.rolled_back(record) == {}


def test_a_new_version_of_the_same_model_counts_as_that_model(record):
    gate(record, "2")
    roll_back(record)
    registry.tag("4", {registry.MODEL_SHA256: registry.version_entry("2").tags[registry.MODEL_SHA256]})
    gate(record, "4")
    assert promotion.rolled_back(record) == {}


def roll_back(record: PromotionRecord) -> None:
    """`churn rollback` without the model files, which these versions lack."""
    promotion._move(record, promotion.ROLLBACK, lambda _: str(registry.aliases()[PREVIOUS]), "because", {})

"""Moving the champion: by the gate, by hand, and back. Each move holds the lease and is on record before and after it.

A move is written down, carried out and closed. What a crash leaves behind is a move that was begun: the next holder of the lease
carries it out, because it was decided under a lease and each of its steps may be repeated. The move of `Champion` is one call.
"""

import getpass
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from churn.core.errors import ChurnError
from churn.io.models import registry
from churn.io.models.promotion_record import ABANDONED, BEGUN, DONE, LeaseLostError, Move, PromotionRecord
from churn.io.models.registry import (
    AWAITING_APPROVAL,
    CHAMPION,
    COMPARED_WITH,
    GATE,
    GATE_REASON,
    MODEL_NAME,
    PREVIOUS,
    PROMOTED,
    TEST_METRICS,
)

PROMOTE, ROLLBACK, RESTORE, OUTSIDE = "promote", "rollback", "restore", "outside"
"""What a move is: by gate or hand, back to `Previous`, after a holder that came too late, or noticed after the fact."""


class ChampionChangedError(ChurnError):
    """The version was compared with a champion that is no longer one."""


def apply_decision(promotion: dict[str, Any], record: PromotionRecord) -> None:
    """Carry out what the gate has decided; the move of the alias is the last step.

    Args:
        promotion: `version`, `expected_champion` (a version or None), `outcome`, `reason` and `metrics` (name to number).
        record: Where moves are on record.

    Raises:
        ChampionChangedError: if the champion is no longer the one that the version was compared with. Nothing is moved.
    """
    number, expected = promotion["version"], promotion["expected_champion"]
    if number == expected:
        return  # the champion met itself: why it was promoted stays on record
    metrics = json.dumps(promotion["metrics"], sort_keys=True)
    tags = {GATE: promotion["outcome"], GATE_REASON: promotion["reason"], COMPARED_WITH: expected or "", TEST_METRICS: metrics}
    if promotion["outcome"] != PROMOTED:
        registry.tag(number, tags)
        return

    def target(champion: str | None) -> str:
        if champion != expected:
            raise ChampionChangedError(
                f"The champion changed from version {expected} to {champion} while version {number} was compared with it. "
                "Nothing was moved: run `kedro run --pipelines evaluation` to compare with the new champion."
            )
        return str(number)

    _move(record, PROMOTE, target, promotion["reason"], tags)


def promote(number: str, reason: str, record: PromotionRecord, *, force: bool = False) -> None:
    """Make a version the champion by hand; the old one becomes `Previous`. Its files are checked first.

    Args:
        number: The version.
        reason: Kept on record and in the version's tags.
        record: Where moves are on record.
        force: Also if the version waits for approval and was compared with another champion than the present one.

    Raises:
        ChurnError: if there is no such version, its files are not those that were registered, or it is the champion already.
        ChampionChangedError: if what the gate found out about it is about another champion. Nothing is moved.
    """
    tags = registry.load_version(number).tags
    said = f" (the gate: {tags[GATE]}. {tags[GATE_REASON]})" if tags.get(GATE, PROMOTED) != PROMOTED else ""

    def target(champion: str | None) -> str:
        if champion == number:
            raise ChurnError(f"Version {number} is the champion already.")
        compared = tags.get(COMPARED_WITH) or None
        if tags.get(GATE) == AWAITING_APPROVAL and compared != champion and not force:
            raise ChampionChangedError(
                f"The champion changed from version {compared} to {champion} since version {number} passed the gate. Nothing was moved: "
                f"train again to compare with the new champion, or `churn promote {number} --force` if you know better."
            )
        return number

    _move(record, PROMOTE, target, reason, {GATE: PROMOTED, GATE_REASON: f"{reason}{said}"})


def rollback(reason: str, record: PromotionRecord) -> tuple[str, str]:
    """Make `Previous` the champion again. Its files are checked first.

    Returns:
        The versions (old champion, new champion).

    Raises:
        ChurnError: if there is no previous champion to go back to, or its files are not those that were registered.
    """
    checked = registry.aliases().get(PREVIOUS)
    if checked is not None:
        registry.load_version(checked)

    def target(champion: str | None) -> str:
        previous = registry.aliases().get(PREVIOUS)
        if champion is None or previous is None or champion == previous:
            raise ChurnError("There is no previous champion to go back to. `churn promote VERSION` takes any version of `churn status`.")
        if previous != checked:
            raise ChurnError(
                f"Another promotion came in between: {PREVIOUS} is version {previous} now. Look at `churn status`, then try again."
            )
        return previous

    moved = _move(record, ROLLBACK, target, reason, {})
    return str(moved.from_version), str(moved.to_version)


def rolled_back(record: PromotionRecord) -> dict[str, str]:
    """The models that were rolled back and have not become champion again since: sha256 to version."""
    hashes = {entry.version: entry.tags.get(registry.MODEL_SHA256, "") for entry in registry.versions()}
    found: dict[str, str] = {}
    for move in record.moves():
        if move.outcome == DONE:
            found.pop(hashes.get(move.to_version or "", ""), None)
            if move.action == ROLLBACK and move.from_version in hashes:
                found[hashes[move.from_version]] = move.from_version
    return found


def heal(record: PromotionRecord) -> None:
    """Finish what a crash has left, and put on record what was moved by other means."""
    with record.lease(who()) as token:
        _heal(record, token)


def settle(record: PromotionRecord) -> None:
    """Before a champion is read to be compared with: `heal`, if a move was begun and not closed."""
    if any(move.outcome == BEGUN for move in record.moves()):
        heal(record)


def who() -> str:
    """Who moves: the actor of a workflow run, else the user and machine."""
    if os.environ.get("GITHUB_ACTIONS"):
        return f"{os.environ.get('GITHUB_ACTOR', 'unknown')} in workflow run {os.environ.get('GITHUB_RUN_ID', 'unknown')}"
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _move(record: PromotionRecord, action: str, target: Callable[[str | None], str], reason: str, tags: dict[str, str]) -> Move:
    """Under the lease: read the champion again, let `target` say where it goes or refuse, and move it."""
    actor = who()
    with record.lease(actor) as token:
        _heal(record, token)
        champion = registry.aliases().get(CHAMPION)
        number = target(champion)
        planned = {"action": action, "from_version": champion, "to_version": number, "previous": champion}
        move = record.begin(token, {**planned, "who": actor, "reason": reason, "tags": tags})
        try:
            _carry_out(record, token, move)
            return move
        except LeaseLostError:
            pass  # the lease below tells what became of it
    heal(record)
    last = _last_done(record.moves())
    if last is None or last.number != move.number:
        raise LeaseLostError(f"Version {number} was overtaken by another promotion. Look at `churn status`, then try again.")
    return move


def _carry_out(record: PromotionRecord, token: int, move: Move) -> None:
    """The steps of a move; each may be repeated."""
    assert move.to_version is not None  # noqa: S101 - only noticed moves may go nowhere
    if move.tags:
        registry.tag(move.to_version, move.tags)
    if move.previous is not None and move.previous != move.to_version:
        record.require(token)
        registry.set_alias(PREVIOUS, move.previous)
    record.require(token)
    registry.set_alias(CHAMPION, move.to_version)
    record.finish(token, move.number)


def _heal(record: PromotionRecord, token: int) -> None:
    """Close moves that were begun, then see that the champion is the one on record."""
    for move in [found for found in record.moves() if found.outcome == BEGUN]:
        if move.action == OUTSIDE:  # it was made before it was noted
            record.finish(token, move.number)
        elif registry.aliases().get(CHAMPION) in (move.from_version, move.to_version):
            _carry_out(record, token, move)
        else:
            record.finish(token, move.number, ABANDONED)
    moves, champion = record.moves(), registry.aliases().get(CHAMPION)
    last = _last_done(moves)
    if last is None or champion == last.to_version:
        return
    if champion in _late(moves, last):
        _restore(record, token, champion, last)
    else:
        _note(record, token, champion, last)


def _late(moves: list[Move], last: Move) -> set[str | None]:
    """Versions that a holder who was thought dead may have made champion after its move was closed by another."""
    return {move.to_version for move in moves if move.number < last.number and move.finished_by != move.token}


def _restore(record: PromotionRecord, token: int, champion: str | None, last: Move) -> None:
    reason = f"version {champion} was made champion by a process that came back after its lease had ended"
    planned = {"action": RESTORE, "from_version": champion, "to_version": last.to_version, "previous": last.previous}
    _carry_out(record, token, record.begin(token, {**planned, "who": who(), "reason": reason, "tags": {}}))


def _note(record: PromotionRecord, token: int, champion: str | None, last: Move) -> None:
    previous = registry.aliases().get(PREVIOUS)
    planned = {"action": OUTSIDE, "from_version": last.to_version, "to_version": champion, "previous": previous}
    reason = f"the alias {CHAMPION} of {MODEL_NAME} was moved by other means than `churn`"
    record.finish(token, record.begin(token, {**planned, "who": "unknown", "reason": reason, "tags": {}}).number)


def _last_done(moves: list[Move]) -> Move | None:
    return next((move for move in reversed(moves) if move.outcome == DONE), None)

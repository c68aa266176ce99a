"""How each rollout of a replay came from state to state, with the evidence that it went by."""

from __future__ import annotations

from collections.abc import Iterator

from kring.charts.page import Block, Table, Text
from kring.charts.words import count, moment
from kring.flow import history
from kring.flow.operator.driving import judgement
from kring.flow.operator.rollouts import FULL
from kring.flow.replaying.untimed import told_untried
from kring.ports.ledger import Ledger
from kring.record.operator import OperatorState
from kring.record.replay import Replay, RolloutMove
from kring.record.rollout import Rollout
from kring.release.words import told_e

TESTED = ("shadow", "step", "baking", "held")


def moves(ledger: Ledger) -> Iterator[RolloutMove]:
    """Every transition out of a state in which something was tested, in order."""
    before: Rollout | None = None
    for state in history.all_of(ledger, OperatorState):
        rollout = state.rollout
        if rollout is None or (before is not None and (before.id, before.seq) == (rollout.id, rollout.seq)):
            continue
        if before is not None and before.id == rollout.id and before.terms and before.state in TESTED:
            yield _move(state, before, rollout)
        before = rollout


def _move(state: OperatorState, before: Rollout, after: Rollout) -> RolloutMove:
    stage = before.stage
    step = {"shadow": 0, "step": before.step}.get(stage, FULL)
    has_tests = stage in ("shadow", "step") or bool(before.terms and before.terms.holdback)
    found = judgement(state, before, step=step, brakes=()) if has_tests else None
    return RolloutMove(
        rollout=after.id,
        version=after.version,
        at=after.at,
        was=stage,
        was_step=before.step,
        state=after.state,
        step=after.step,
        reason=after.reason,
        harm=found.harm if found else 0.0,
        proofs={one.name: one.proof for one in found.standings} if found else {},
        units=max((one.new_units for one in found.standings), default=0) if found else 0,
        pairs=state.progress.paired_rows if state.progress else 0,
    )


def rollout_blocks(replay: Replay) -> list[Block]:
    """What moved each version on, with its e-values, and what could not; nothing where no version was tested."""
    if not replay.moves:
        return []
    left = [Text(words=told_untried(replay), tone="warn")] if replay.untried else []
    words = (
        "Each new version is first asked beside the live one; then it answers a share of the traffic, step by step. It"
        " goes on when the e-value of each guardrail reaches 20: a version beyond its limit gets past all of them in at"
        " most 5 of 100 rollouts. It goes back when the e-value of harm reaches 20: a version that is no worse gets"
        " there in at most 5 of 100, however often one looks."
    )
    rows = tuple(
        (
            moment(move.at),
            move.version[:10],
            f"{_told(move.was, move.was_step)} → {_told(move.state, move.step)}",
            count(move.pairs if move.was == "shadow" else move.units),
            told_e(move.harm),
            ", ".join(f"{name} {told_e(proof)}" for name, proof in move.proofs.items() if _asked(move, name)) or "–",
        )
        for move in replay.moves
    )
    columns = ("when", "version", "from → to", "rows or units of it", "e-value of harm", "e-values of proof")
    return [Text(words=words), *left, Table(columns=columns, rows=rows)]


def _asked(move: RolloutMove, name: str) -> bool:
    """In shadow only pairs of answers prove anything."""
    return move.was != "shadow" or move.proofs[name] != 0.0


def _told(state: str, step: int) -> str:
    return f"{step}\u00a0%" if state == "step" else state.replace("_", " ")

"""Whatever goes wrong among three replicas, a ledger and two operators: nothing acknowledged is lost, no stage is
skipped, nothing is counted twice, and evidence is what the log says."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from replicas import POLICY, STEPS, World, live, made, state_of

from kring.flow import adapters, history
from kring.flow.operating.following import frames_to
from kring.flow.operating.rollout_book import RolloutBook
from kring.flow.operating.rounds import share_of
from kring.metrics.ids import decision_block
from kring.record.decision import Decisions
from kring.record.operator import BatchSealed
from kring.record.progress import Progress
from kring.record.rollout import TRANSITIONS, Pointer, Rollout
from kring.release import judging
from kring.release.looks import holds as holds_batch

HOURS = 24 * 6
OVER = ("done", "rolling_back", "rolled_back", "aborted")
SHORT, LONG = 50, 1000
ONCE_WRONG = (165, 376)
"""A rollout that was over before its last batch was looked at; two pointers of one moment, heard again."""


def lived(folder: Path, seed: int) -> World:
    """A world in which a third of the new versions fail often; how much goes wrong is drawn too."""
    failing = (0.0, 0.002, 0.3)[seed % 3]
    world = made(folder, seed=seed, faults=(0.0, 1.0, 2.0)[seed // 3 % 3], failing=failing)
    live(world, HOURS)
    return world


def holds(folder: Path, seed: int) -> str:
    """All that must be true; the state in which the first rollout ended."""
    world = lived(folder, seed)
    try:
        nothing_is_lost(world)
        chain_holds(world)
        pointers_turn_one_by_one(world)
        stages_follow_the_table(world)
        answers_follow_a_pointer_that_was(world)
        evidence_is_what_the_log_says(world)
        return state_of(world.ledger).rollout.state  # type: ignore[union-attr]
    finally:
        world.close()


@pytest.mark.parametrize("seed", [*range(SHORT), *ONCE_WRONG])
def test_whatever_goes_wrong(tmp_path: Path, seed: int) -> None:
    try:
        holds(tmp_path, seed)
    except BaseException as error:
        raise AssertionError(f"seed {seed}") from error


@pytest.mark.long
@pytest.mark.parametrize("start", range(SHORT, LONG, 50))
def test_whatever_goes_wrong_for_longer(tmp_path: Path, start: int) -> None:
    for seed in range(start, start + 50):
        try:
            holds(tmp_path / str(seed), seed)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error


def test_where_nothing_goes_wrong_good_versions_arrive_and_bad_ones_do_not(tmp_path: Path) -> None:
    ends = Counter((seed % 3, holds(tmp_path / str(seed), seed)) for seed in (0, 2, 9, 11, 18, 20))
    assert {end for (kind, end) in ends if kind == 0} <= {"done", "baking"}
    assert {end for (kind, end) in ends if kind == 2} == {"rolled_back"}


def nothing_is_lost(world: World) -> None:
    """Every acknowledged decision is in the log once, as the version that was asked for it."""
    found: Counter[bytes] = Counter()
    for logged in adapters.read_log(world.project.home.log, system=world.project.system.name).read():
        if isinstance(logged.record, Decisions):
            ids = [row.tobytes() for row in decision_block(logged.place, logged.record.n)]
            found.update(ids)
            assert all(world.acknowledged.get(id, ("", 0))[0] == logged.record.version for id in ids)
    assert found.keys() == world.acknowledged.keys()
    assert set(found.values()) == {1}


def chain_holds(world: World) -> None:
    assert world.ledger.verify() == world.ledger.head()


def pointers_turn_one_by_one(world: World) -> None:
    generations = [one.generation for one in history.all_of(world.ledger, Pointer)]
    assert generations == list(range(1, len(generations) + 1))


def stages_follow_the_table(world: World) -> None:
    """One seq after the other, each transition in the table, and no step left out on the way up."""
    rollouts: dict[str, list[Rollout]] = {}
    for one in history.all_of(world.ledger, Rollout):
        rollouts.setdefault(one.id, []).append(one)
    for states in rollouts.values():
        assert [one.seq for one in states] == list(range(1, len(states) + 1))
        for before, after in itertools.pairwise(states):
            assert after.state in TRANSITIONS[before.state]
        steps = list(dict.fromkeys(one.step for one in states if one.state == "step"))
        assert steps == list(STEPS[: len(steps)])
        if states[0].previous and any(one.state == "promoted" for one in states):
            assert steps == list(STEPS), "promoted without every step"
        for one, after in itertools.pairwise(states):
            assert one.state != "rolling_back" or after.state == "rolled_back"


def answers_follow_a_pointer_that_was(world: World) -> None:
    """Nobody answers by half a change, and who has heard of a rollback asks the version that was taken back no more."""
    known = {one.generation: one for one in history.all_of(world.ledger, Pointer)}
    for _, pointer, version in world.answered_by:
        assert known[pointer.generation] == pointer
        assert version in (pointer.live, pointer.canary)


def evidence_is_what_the_log_says(world: World) -> None:
    """The e-values of the last rollout, counted again from the log by its sealed batches alone. All of them have been
    looked at, but for the last of a rollout that was over by then."""
    state = state_of(world.ledger)
    rollout = state.rollout
    assert rollout is not None
    seals = [one for one in history.all_of(world.ledger, BatchSealed) if one.rollout == rollout.id]
    assert [one.batch for one in seals] == list(range(1, len(seals) + 1))
    if rollout.terms is None or state.progress is None:
        return
    seen = state.progress.seen
    unseen = [one.batch for one in seals if not holds_batch(seen, one.batch)]
    assert unseen in ([], [len(seals)] if rollout.state in OVER else [])
    assert counted_again(world, rollout, without=unseen) == state.progress


def counted_again(world: World, rollout: Rollout, *, without: list[int]) -> Progress:
    assert rollout.terms is not None
    book = RolloutBook(rollout, task=world.project.task, policy_of=lambda _: POLICY)
    log = adapters.read_log(world.project.home.log, system=world.project.system.name)
    progress, after = judging.started(rollout.id, rollout.terms), {}
    for one in history.both_of(world.ledger, Pointer, BatchSealed):
        if one.rollout != rollout.id or (isinstance(one, BatchSealed) and one.batch in without):
            continue
        if isinstance(one, Pointer):
            share = share_of(one, rollout)
            if share is not None:
                book.turned(share, at=one.at)
            continue
        for logged in frames_to(log, after, dict(one.cuts)):
            book.hear(logged)
        progress = judging.advanced(progress, book.look(one.batch, now=one.at).look, rollout.terms)
        after |= dict(one.cuts)
    return progress

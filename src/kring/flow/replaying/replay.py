"""The real operator, router and runtime over history, with a simulated clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from kring.errors import DataError, KringError, Refused
from kring.flow import adapters, history
from kring.flow.checking import check_feed, take_snapshot
from kring.flow.deciding import Opened, open_answerers, open_decider
from kring.flow.doubting import DOUBTS
from kring.flow.operating.limits import Limits, limits_of
from kring.flow.operating.operator import Operator, failed, no_retraining, open_operator
from kring.flow.operating.rounds import Rounds
from kring.flow.operator.alarms import open_metrics
from kring.flow.operator.rollouts import begun_at
from kring.flow.project import Project
from kring.flow.recording import sealing_for
from kring.flow.releasing import build_version, judge_all
from kring.flow.replaying.feed import Feed, load_feed
from kring.flow.replaying.summary import summed
from kring.flow.replaying.untimed import untimed, untried
from kring.flow.retraining import doubted, why_doubted
from kring.flow.training.train import train
from kring.flow.watching.monitors import Monitors
from kring.flow.watching.windows import Windows
from kring.host.clock import SimulatedClock, stopwatch
from kring.metrics.ids import decision_block
from kring.ports.decision_log import DecisionLog, Logged
from kring.ports.ledger import Ledger
from kring.record.decision import Decisions, Outcomes, Place
from kring.record.event import Segment
from kring.record.operator import Cursor, OperatorEvent, Retrained
from kring.record.replay import Replay
from kring.record.run import Run
from kring.record.snapshot import Snapshot
from kring.record.version import Version
from kring.serve.decider import Decider
from kring.serve.fallback import Answerer
from kring.watch.drift import references_in

HOUR_US: Final = 3_600_000_000
FIRST: Final = "first"


@dataclass
class Stage:
    """Everything one replay holds while it runs. `ids` are the 16 bytes of each feed row's decision."""

    project: Project
    clock: SimulatedClock
    feed: Feed
    log: DecisionLog
    monitors: Monitors
    operator: Operator
    rounds: Rounds
    seed: int
    ids: NDArray[np.uint8]
    opened: dict[str, Opened] = field(default_factory=dict)
    decider: Decider[pl.DataFrame] | None = None
    first: str = ""
    decisions: int = 0
    outcomes: int = 0
    window_end: int = 0
    refusals: list[str] = field(default_factory=list)

    @property
    def windows(self) -> Windows:
        """Rows that wait for their outcomes, and what was counted of them."""
        return self.monitors.windows

    def example(self) -> bytes:
        """The last decision that was made and has an outcome by now: one worth tracing."""
        decided = self.feed.by_known[: self.feed.heard]
        rows = decided[(decided >= self.feed.first) & (decided < self.feed.decided)]
        return bytes(self.ids[rows[-1] if len(rows) else self.feed.first])


def replay(project: Project, *, start: int, end: int, seed: int, tick_us: int = HOUR_US) -> Replay:
    """Train on what was known at `start`, then live until `end` (microseconds UTC), tick by tick.

    `project` must stand in a home of its own with a `SimulatedClock` at `start`. In each tick what is to
    be decided is decided as one batch, then the outcomes that have become known are recorded, then
    windows that have ended are judged. The same seed gives the same records.
    """
    began = stopwatch()
    not_tried = tuple(untried(project.system))
    with on_stage(untimed(project), start=start, end=end, seed=seed) as stage:
        begin(stage)
        live(stage, start=start, end=end, tick_us=tick_us)
    found = summed(
        project,
        stage.windows,
        id=project.new_id("p"),
        start=start,
        end=end,
        seed=seed,
        decisions=stage.decisions,
        outcomes=stage.outcomes,
        refusals=stage.refusals,
        example=stage.example(),
        seconds=stopwatch() - began,
    )
    return msgspec.structs.replace(found, untried=not_tried)


@contextmanager
def on_stage(project: Project, *, start: int, end: int, seed: int) -> Iterator[Stage]:
    """Everything opened for a replay, and closed again whatever happens."""
    clock, window_us = project.clock, project.system.watch.window_us
    if not isinstance(clock, SimulatedClock):
        raise TypeError("a replay needs a simulated clock")
    if not project.system.data.time:
        raise DataError("only a feed with a time column can be replayed", key="data.time", next="declare data.time")
    feed = load_feed(project, start=start, end=end)
    writer = adapters.open_log(project.home.log, files=project.files, system=project.system.name)
    log = sealing_for(project, writer)
    try:
        with project.ledger() as ledger:
            operator = open_operator(project, ledger, holder="replay", retrain=no_retraining)
            opened: dict[str, Opened] = {}
            rounds = Rounds(operator, task=project.task, policy_of=lambda id: opened[id].answerer.policy)
            stage = Stage(
                project=project,
                clock=clock,
                feed=feed,
                log=log,
                monitors=Monitors(project.system, project.task),
                operator=operator,
                rounds=rounds,
                opened=opened,
                seed=seed,
                ids=np.zeros((feed.n, 16), dtype=np.uint8),
                window_end=start - start % window_us + window_us,
            )
            operator.retrain = lambda trigger: retrain(stage, trigger)
            yield stage
    finally:
        log.close()


def live(stage: Stage, *, start: int, end: int, tick_us: int = HOUR_US) -> None:
    """Tick by tick until `end`; at the end the log's segments stand on the ledger."""
    window_us = stage.project.system.watch.window_us
    heard = Heard(month_of(start))
    for tick in ticks(stage.feed, start=start, end=end, tick_us=tick_us, window_us=window_us):
        month = month_of(tick - 1)
        if month != heard.month:
            heard = tell(stage, heard, next=month)
        stage.clock.advance(tick)
        live_through(stage, tick)
    tell(stage, heard, next="")
    stage.log.commit()
    remember_segments(stage.project, stage.log, stage.operator.ledger)


class Heard(NamedTuple):
    """The calendar month (UTC) that runs, and what there was before it."""

    month: str
    decisions: int = 0
    outcomes: int = 0


def tell(stage: Stage, heard: Heard, *, next: str) -> Heard:
    """Say what the month that ends brought; a tick on the stroke of midnight still belongs to it."""
    decisions, outcomes = stage.decisions - heard.decisions, stage.outcomes - heard.outcomes
    stage.project.say(f"live    {heard.month}: {decisions:,} decisions, {outcomes:,} outcomes")
    return Heard(next, stage.decisions, stage.outcomes)


def month_of(at: int) -> str:
    """2013-06, of a moment in microseconds UTC."""
    return f"{datetime.fromtimestamp(at // 1_000_000, tz=UTC):%Y-%m}"


def ticks(feed: Feed, *, start: int, end: int, tick_us: int, window_us: int) -> Iterator[int]:
    """The moments at which something is due: a decision, an outcome, or the end of a window."""
    due = np.concatenate([feed.time[feed.first :], feed.known_at[feed.known_at > start]])
    due = -(-due // tick_us) * tick_us
    ends = np.arange(start - start % window_us + window_us, end + 1, window_us)
    moments = np.unique(np.concatenate([due, ends]))
    yield from (int(moment) for moment in moments[(moments > start) & (moments <= end)])


def begin(stage: Stage) -> None:
    """The first training; without a version that passes its gate there is nothing to live with."""
    first = retrain(stage, FIRST)
    if first.result != "pass":
        raise Refused(
            "the first training brought no version",
            got=first.reason,
            allowed="a candidate that passes its gate",
            next="read the verdicts above; better data, another candidate or another gate may pass",
        )
    stage.operator.step([first])
    stage.first = first.version
    renew(stage)


def retrain(stage: Stage, trigger: str) -> Retrained:
    """check → snapshot → doubts → train → gate → version, on what is known now."""
    project = stage.project
    project.say(f"retrain {trigger}" if trigger != FIRST else "train   for the first time")
    try:
        checked = check_feed(project, as_of=stage.clock.now())
        snapshot = take_snapshot(project, checked)
        if found := doubts_of(stage, snapshot) if trigger != FIRST else ():
            stage.refusals.append(why_doubted(found))
            return Retrained(trigger=trigger, result="investigate", reason=why_doubted(found), run="", broke_at="data")
        trained = train(project, snapshot, only=candidates_for(stage), seed=stage.seed, thorough=False)
        judged = judge_all(project, trained, snapshot_digest=snapshot.digest)
        if not judged:
            return failed(
                trigger, Refused("no candidate could be trained: " + "; ".join(one.run.reason for one in trained))
            )
        best = judged[0]
        if best.verdict.result != "pass":
            reason = "; ".join(f"{line.metric}: {line.reason}" for line in best.verdict.lines if line.result != "pass")
            stage.refusals.append(f"{best.trained.run.candidate}: {reason}")
            return Retrained(trigger=trigger, result=best.verdict.result, reason=reason, run=best.trained.run.id)
        version = build_version(project, best)
    except KringError as error:
        if trigger == FIRST:
            raise
        return failed(trigger, error)
    stage.opened[version.id] = opened = open_answerers(project, version.id)
    stage.monitors.knows(
        version.id,
        opened.answerer.policy,
        evidence=best.trained.evidence,
        references=references_in(opened.loaded.files),
    )
    return Retrained(
        trigger=trigger,
        result="pass",
        reason="gate passed",
        run=best.trained.run.id,
        version=version.id,
        limits=limits_now(stage),
    )


def doubts_of(stage: Stage, snapshot: Snapshot) -> tuple[str, ...]:
    """What should be looked at before anything is learned by itself, as whoever operates the system asks it."""
    stage.log.commit()
    return doubted(stage.project, snapshot, DOUBTS)


def limits_now(stage: Stage) -> Limits:
    """The limits that a rollout beside the live version is judged by."""
    pointer = stage.operator.state.pointer
    if pointer is None:
        return {}
    policy = stage.opened[pointer.live].answerer.policy
    return limits_of(stage.project, version=pointer.live, policy=policy)


def candidates_for(stage: Stage) -> tuple[str, ...]:
    """All at first; later the live candidate is trained again, beside the baseline."""
    pointer = stage.operator.state.pointer
    if pointer is None:
        return ()
    version = history.get(stage.operator.ledger, Version, pointer.live)
    return (history.get(stage.operator.ledger, Run, version.run).candidate,)


def live_through(stage: Stage, now: int) -> None:
    """One tick: decisions, outcomes, the rollout, windows. Decisions come first: an outcome may be known in the
    very tick of its decision."""
    before = stage.operator.state.pointer
    decide_due(stage, now)
    record_outcomes(stage, now)
    stage.rounds.turn(lambda: committed(stage))
    while stage.window_end <= now:
        close_window(stage, stage.window_end)
        stage.window_end += stage.project.system.watch.window_us
    if stage.operator.state.pointer != before:
        renew(stage)


def committed(stage: Stage) -> dict[int, Cursor]:
    """The end of the log, with all that was decided and heard in it."""
    stage.log.commit()
    return {stage.log.writer: stage.log.cursor()}


def hear(stage: Stage, place: Place, record: Decisions | Outcomes) -> None:
    """What the log holds now is heard by the rollout under way."""
    stage.rounds.hear(Logged(place=place, record=record, cursor=(0, 0)))


def record_outcomes(stage: Stage, now: int) -> None:
    """What became known since the last tick, of decisions that were made."""
    rows = stage.feed.take_known(now)
    if not len(rows):
        return
    ids = split_ids(stage.ids[rows])
    values = stage.feed.target_values(rows)
    record = Outcomes(system=stage.project.system.name, at=now, ids=ids, values=values)
    hear(stage, stage.log.append(record), record)
    stage.monitors.outcomes(ids, values, at=now)
    stage.outcomes += len(rows)


def decide_due(stage: Stage, now: int) -> None:
    """All that is to be decided in this tick, as one batch: live, then every shadow."""
    rows = stage.feed.take_due(now)
    if not len(rows):
        return
    assert stage.decider is not None
    for decided in stage.decider.decide(stage.feed.batch(rows), at=now, kind="batch"):
        record = decided.record
        place = stage.log.append(record)
        hear(stage, place, record)
        block = decision_block(place, record.n)
        stage.ids[rows[decided.rows]] = block
        waiting = stage.monitors.decisions(place, record)
        ids = split_ids(block)
        for shadow in shadows(stage) if decided.answered else ():
            said = stage.decider.shadow(decided, shadow, ids=ids)
            hear(stage, stage.log.append(said), said)
            stage.monitors.shadow(waiting, said)
    stage.log.commit()
    stage.decisions += len(rows)


def split_ids(block: NDArray[np.uint8]) -> list[bytes]:
    """Ids of shape (n, 16), one by one."""
    raw = block.tobytes()
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def shadows(stage: Stage) -> list[Answerer[pl.DataFrame]]:
    """Who else answers the same inputs: the live baseline, the first version, a version in shadow."""
    state = stage.operator.state
    assert state.pointer is not None
    live = state.pointer.live
    others = [stage.opened[live].baseline]
    wanted = [stage.first]
    if state.rollout is not None and state.rollout.stage == "shadow":
        wanted.append(state.rollout.version)
    return [*others, *(stage.opened[id].answerer for id in dict.fromkeys(wanted) if id != live)]


def close_window(stage: Stage, end: int) -> None:
    """Judge the window that ended, what has matured by now, and the shadow if there is one."""
    state = stage.operator.state
    assert state.pointer is not None
    watch = stage.project.system.watch
    start = end - watch.window_us
    events: list[OperatorEvent] = [
        stage.windows.closed(start, end),
        stage.monitors.closed(start, end, live=state.pointer.live),
    ]
    if end % watch.judge_every_us < watch.window_us:
        events += judged_quality(stage, state.pointer.live, end)
    if state.rollout is not None and state.rollout.state == "shadow":
        events.append(stage.windows.compared(state.rollout.version, since=begun_at(state.rollout)))
    stage.operator.step(events)


def judged_quality(stage: Stage, live: str, end: int) -> list[OperatorEvent]:
    """What has matured by now, against the gate; nothing when nothing lies beyond it."""
    alarmed = open_metrics(stage.operator.state, "quality")
    matured = end - stage.project.system.watch.maturity_us
    found = stage.monitors.judged(live, end=matured, seed=stage.seed, alarmed=alarmed)
    return [found] if found is not None else []


def renew(stage: Stage) -> None:
    """A decider for the pointer as it is now."""
    pointer = stage.operator.state.pointer
    assert pointer is not None
    stage.decider = open_decider(stage.project, pointer, stage.opened, clock=stage.clock)
    stage.project.say(f"live    {pointer.live} (generation {pointer.generation})")


def remember_segments(project: Project, log: DecisionLog, ledger: Ledger) -> None:
    """Put the log's sealed segments on the ledger: what was decided can't be changed unseen."""
    known = {segment.id for segment in history.all_of(ledger, Segment)}
    sealed = [segment for segment in log.seal() if segment.id not in known]
    now = project.clock.now()
    ledger.append([history.entry(segment, id=segment.id, actor=project.actor, at=now) for segment in sealed])

"""What should be looked at before anything is learned: rows that look as if they had been put there, and labels that
the model made itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from kring.data import snapshot as snapshots
from kring.flow import adapters, history
from kring.flow.checking import all_snapshots
from kring.flow.doubted_rows import points_of, seen_rows, trusted_losses
from kring.flow.keyed import Key, columns_of, physical, row_key
from kring.flow.project import Project
from kring.flow.recording import unsealing
from kring.learn import feedback, poisoning
from kring.learn.feedback import Coverage
from kring.learn.review import is_drawn
from kring.metrics.ids import decision_block, decision_id
from kring.record.decision import Decisions, Outcomes
from kring.record.operator import OperatorState
from kring.record.review import REVIEWED
from kring.record.run import Run
from kring.record.snapshot import Snapshot
from kring.record.version import Version

SEED: Final = 0
SPAN_US: Final = 30 * 86_400_000_000


class Told(NamedTuple):
    """What was found, figure by figure; `words` are those that should be looked at first."""

    flips: tuple[poisoning.Flips, ...] = ()
    burst: poisoning.Burst | None = None
    trusted: poisoning.Trusted | None = None

    @property
    def words(self) -> tuple[str, ...]:
        found = [one.words for one in self.flips if one.is_more][:1]
        found += [self.burst.words] if self.burst and self.burst.is_one else []
        found += [self.trusted.words] if self.trusted and self.trusted.is_worse else []
        return tuple(found)


def looks_poisoned(project: Project, snapshot: Snapshot) -> Sequence[str]:
    """Why the new rows of `snapshot` should be looked at first; nothing where there is no snapshot to compare with."""
    before = learned_from(project, snapshot)
    return poison(project, snapshot, before=before).words if before is not None else ()


def shapes_its_labels(project: Project, snapshot: Snapshot) -> Sequence[str]:
    """Why the labels may be the model's own doing, where answers may change outcomes (`frame.feedback`)."""
    if project.system.frame.feedback == "none":
        return ()
    found = feedback.shaped(coverage_of(project, snapshot))
    return (found,) if found else ()


DOUBTS: Final = (looks_poisoned, shapes_its_labels)
"""All of them, as `kring.flow.retraining` asks them."""


def learned_from(project: Project, snapshot: Snapshot) -> Snapshot | None:
    """The snapshot that the live version learned from, else the one before; None without one."""
    known = {one.id: one for one in all_snapshots(project) if one.id != snapshot.id}
    with project.ledger() as ledger:
        state = history.newest_with(ledger, OperatorState, "operator")
        if state is not None and state.pointer is not None:
            run = history.get(ledger, Run, history.get(ledger, Version, state.pointer.live).run)
            return known.get(run.snapshot)
    return list(known.values())[-1] if known else None


def poison(project: Project, snapshot: Snapshot, *, before: Snapshot) -> Told:
    """Hold the rows that are new since `before` against the others, and against the trusted rows if there are any."""
    seen = seen_rows(project, snapshot, before=before)
    if seen is None or seen.is_new.sum() < poisoning.FEWEST_NEW:
        return Told()
    points = points_of(seen)
    old, new = points.some(~seen.is_new), points.some(seen.is_new)
    losses = trusted_losses(project, seen) if project.system.learn.trusted and old.n >= poisoning.FEWEST_OLD else None
    return Told(
        flips=tuple(poisoning.flips(old, new, labelled=bool(seen.policy.labels), seed=SEED)),
        burst=poisoning.burst(old, new),
        trusted=poisoning.trusted(*losses) if losses is not None else None,
    )


def coverage_of(project: Project, snapshot: Snapshot) -> list[Coverage]:
    """By decision, of how many of the last 30 days that are old enough an outcome is known: in the log, or in the rows
    of `snapshot`."""
    until = project.clock.now() - max(project.system.watch.maturity_us, project.system.data.outcome_after_us)
    labelled = labelled_keys(project, snapshot)
    made: Counter[str] = Counter()
    known: Counter[str] = Counter()
    chance: Counter[str] = Counter()
    told, reviewed = told_of(project)
    salt, share, names = f"{project.system.name}/review", project.system.learn.review.share, row_key(project)
    with unsealing(project) as unseal:
        for logged in adapters.read_log(project.home.log, system=project.system.name).read():
            record = logged.record
            if not isinstance(record, Decisions) or record.arm == "shadow" or not until - SPAN_US <= record.at < until:
                continue
            raw = decision_block(logged.place, record.n).tobytes()
            said = record.outputs.get("decision", [None] * record.n)
            keys = zip(*columns_of(unseal(record), names), strict=True)
            for row, (decision, key) in enumerate(zip(said, keys, strict=True)):
                id, name = raw[16 * row : 16 * row + 16], str(decision)
                made[name] += 1
                known[name] += id in told or key in labelled
                chance[name] += id in reviewed and is_drawn(decision_id(id), salt=salt, share=share)
    return [Coverage(name, n, known[name], chance[name]) for name, n in made.items()]


def told_of(project: Project) -> tuple[set[bytes], set[bytes]]:
    """The decisions (16 bytes each) whose outcome the log knows, and those that people looked at."""
    told: set[bytes] = set()
    reviewed: set[bytes] = set()
    for logged in adapters.read_log(project.home.log, system=project.system.name).read():
        record = logged.record
        if isinstance(record, Outcomes):
            told.update(record.ids)
            if record.source.startswith(REVIEWED):
                reviewed.update(record.ids)
    return told, reviewed


def labelled_keys(project: Project, snapshot: Snapshot) -> set[Key]:
    """The keys of the rows with an outcome."""
    frame = snapshots.load(snapshot, folder=project.home.data)
    return set(physical(frame.drop_nulls(project.system.data.target).select(row_key(project))).rows())

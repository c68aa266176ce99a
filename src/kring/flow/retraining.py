"""From a reason to train to a version, stage by stage, each on the ledger: who takes it up goes on behind the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kring.errors import KringError, Refused
from kring.flow import history
from kring.flow.checking import all_snapshots, check_feed, take_snapshot
from kring.flow.project import Project
from kring.flow.releasing import Judged, build_version, judge_all
from kring.flow.training.train import Trained, train
from kring.record.evidence import Evidence
from kring.record.operator import Retrained
from kring.record.retraining import Training, TrainingStage
from kring.record.run import Run
from kring.record.snapshot import Snapshot
from kring.record.system import Stage
from kring.record.verdict import Verdict

Doubt = Callable[[Project, Snapshot], Sequence[str]]
"""Looks at a new snapshot before anything is learned from it; what it says is for a person to judge."""

ACTOR: Final = "operator"

BY_HAND: Final = "asked for by "
"""Begins the trigger of a training that a person wanted: what is doubted then is told, and does not end it."""


@dataclass
class Retraining:
    """One training under way. `only` are the candidates that are trained (none: all), `doubts` look at the new data."""

    project: Project
    training: Training
    only: tuple[str, ...] = ()
    seed: int = 0
    doubts: Sequence[Doubt] = ()

    def run(self) -> Training:
        """Go on from where it stands to its end. A training that breaks ends with what broke it; only what is wrong
        with this machine or its ledger is raised."""
        try:
            while self.training.stage != "ended":
                STAGES[self.training.stage](self)
        except KringError as error:
            if error.retryable:
                raise
            self.broke(error)
        return self.training

    def moved(self, stage: TrainingStage, **changes: object) -> None:
        """The next stage, on the ledger before anything else is done."""
        now = self.project.clock.now()
        training = msgspec.structs.replace(self.training, stage=stage, at=now, **changes)
        with self.project.ledger() as ledger:
            ledger.append([history.entry(training, id=training.id, actor=ACTOR, at=now)])
        self.training = training

    def broke(self, error: KringError) -> None:
        """The end of a training that could not go on: about the data when the contract was broken."""
        broke_at: Stage = "data" if isinstance(error, Refused) else "experiment"
        self.moved("ended", result="fail", reason=error.lasting, broke_at=broke_at)


def take_data(retraining: Retraining) -> None:
    """The feed as it is known now, held to its contract, as a snapshot."""
    project = retraining.project
    snapshot = take_snapshot(project, check_feed(project, as_of=project.clock.now()))
    found = doubted(project, snapshot, retraining.doubts)
    if found and not retraining.training.trigger.startswith(BY_HAND):
        retraining.moved(
            "ended",
            snapshot=snapshot.id,
            doubts=found,
            result="investigate",
            reason=why_doubted(found),
            broke_at="data",
        )
    else:
        retraining.moved("snapshot", snapshot=snapshot.id, doubts=found)


def doubted(project: Project, snapshot: Snapshot, doubts: Sequence[Doubt]) -> tuple[str, ...]:
    """What all of them say of a new snapshot; said, too."""
    found = tuple(words for doubt in doubts for words in doubt(project, snapshot))
    for words in found:
        project.say(f"doubt   {words}")
    return found


def why_doubted(found: Sequence[str]) -> str:
    """Why nothing is learned from a snapshot by itself."""
    return "the new data should be looked at first: " + "; ".join(found)


def learn(retraining: Retraining) -> None:
    """Every candidate that is to be trained, beside the baseline."""
    project, training = retraining.project, retraining.training
    snapshot = next(one for one in all_snapshots(project) if one.id == training.snapshot)
    trained = train(project, snapshot, only=retraining.only, seed=retraining.seed, thorough=False)
    retraining.moved("trained", runs=tuple(one.run.id for one in trained))


def judge(retraining: Retraining) -> None:
    """The gate's word on each of them; the best goes on."""
    project, training = retraining.project, retraining.training
    trained = [Trained(run=run, evidence=evidence) for run, evidence in found_runs(project, training.runs)]
    snapshot = next(one for one in all_snapshots(project) if one.id == training.snapshot)
    judged = judge_all(project, trained, snapshot_digest=snapshot.digest)
    if not judged:
        raise Refused("no candidate could be trained: " + "; ".join(one.run.reason for one in trained))
    best = judged[0]
    if best.verdict.result == "pass":
        retraining.moved("judged", run=best.trained.run.id, result="pass", reason="gate passed")
        return
    reason = "; ".join(f"{line.metric}: {line.reason}" for line in best.verdict.lines if line.result != "pass")
    retraining.moved("ended", run=best.trained.run.id, result=best.verdict.result, reason=reason)


def pack(retraining: Retraining) -> None:
    """The version of the run that passed: signed, on the ledger, not yet released."""
    project, training = retraining.project, retraining.training
    ((run, evidence),) = found_runs(project, (training.run,))
    with project.ledger() as ledger:
        verdicts = [one for one in history.all_of(ledger, Verdict) if one.run == run.id]
    version = build_version(project, Judged(trained=Trained(run=run, evidence=evidence), verdict=verdicts[-1]))
    retraining.moved("ended", version=version.id)


STAGES: Final[dict[TrainingStage, Callable[[Retraining], None]]] = {
    "asked": take_data,
    "snapshot": learn,
    "trained": judge,
    "judged": pack,
}
"""What is done next, by how far it has come."""


def found_runs(project: Project, ids: Sequence[str]) -> list[tuple[Run, Evidence | None]]:
    """Runs of the ledger with their evidence."""
    with project.ledger() as ledger:
        evidence = {one.run: one for one in history.all_of(ledger, Evidence)}
        return [(history.get(ledger, Run, id), evidence.get(id)) for id in ids]


def begun(project: Project, *, id: str, trigger: str) -> Training:
    """The training as it stands on the ledger; a new one when it was never asked for."""
    with project.ledger() as ledger:
        known = history.newest_with(ledger, Training, id)
        if known is not None:
            return known
        now = project.clock.now()
        training = Training(id=id, system=project.system.name, trigger=trigger, stage="asked", at=now)
        ledger.append([history.entry(training, id=id, actor=ACTOR, at=now)])
        return training


def told(training: Training) -> Retrained:
    """The end of a training, as the operator hears of it."""
    assert training.result is not None
    return Retrained(
        trigger=training.trigger,
        result=training.result,
        reason=training.reason,
        run=training.run,
        version=training.version,
        broke_at=training.broke_at,
    )

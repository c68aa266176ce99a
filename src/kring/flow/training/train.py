"""snapshot → prepare, train → run → evidence, for every candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kring.errors import CandidateError, DataError, KringError, UserError
from kring.experiment.evidence import measure_evidence
from kring.flow import adapters, history
from kring.flow.project import Project
from kring.flow.training.build import Built, Session, build
from kring.flow.training.companions import companions_of
from kring.flow.training.fold import cross_validated
from kring.flow.training.keep import behaviours_digest, chain_bytes, keep, sha256
from kring.flow.training.material import gather
from kring.flow.training.memory import memory_of
from kring.flow.training.scrutiny import scrutinised
from kring.flow.training.tune import tune
from kring.flow.training.variants import beside, in_order
from kring.record.evidence import Evidence
from kring.record.run import Run, RunState
from kring.record.snapshot import Snapshot
from kring.record.system import Candidate

DRAWS: Final = 1000


@dataclass(frozen=True)
class Trained:
    """A run, and its evidence unless it was refused or failed; `why` is then told to whoever asked for it, and kept
    nowhere: what a function of the user says may hold a row's values."""

    run: Run
    evidence: Evidence | None
    why: str = ""


def train(
    project: Project,
    snapshot: Snapshot,
    *,
    only: Sequence[str] = (),
    seed: int = 0,
    draws: int = DRAWS,
    thorough: bool = True,
) -> list[Trained]:
    """Fit every candidate (or `only` those; the baseline always), prove the export, measure.

    A candidate that fails is a run with its reason and no evidence; a baseline that fails is a
    `CandidateError`. Runs and evidence are appended to the ledger as they end. Unless it is `thorough`, only
    what the gate asks for is measured beyond the task's metrics.
    """
    candidates = in_order(project.system, chosen(project, only))
    adapters.require_extras(candidates)
    material = gather(project, snapshot)
    session = Session(project, material, snapshot, seed=seed, draws=draws, thorough=thorough)
    project.say(
        f"split   {material.parts[0].rows:,} rows to learn from, {material.parts[1].rows:,} held out"
        f" {material.cut_text}"
    )
    trained: list[Trained] = []
    baseline: tuple[str, Built] | None = None
    with project.working():
        for candidate in candidates:
            run = begun(session, candidate)
            try:
                candidate, tuned = tune(session, candidate)  # noqa: PLW2901 - the same one, with better params
                built = build(session, candidate)
            except (CandidateError, DataError) as error:
                trained.append(refused(project, run, error))
                if candidate.baseline:
                    raise
                continue
            session.done[candidate.name] = (run.id, built)
            baseline = baseline or (run.id, built)
            run = msgspec.structs.replace(run, tuned=tuned, variant=beside(session, candidate, built))
            trained.append(measured(session, run, candidate, built, baseline=baseline))
    return trained


def begun(session: Session, candidate: Candidate) -> Run:
    """The run as it starts: which candidate, on which data, at which commit."""
    project, snapshot = session.project, session.snapshot
    return Run(
        id=project.new_id("r"),
        system=project.system.name,
        candidate=candidate.name,
        kind=candidate.kind,
        baseline=candidate.baseline,
        state="done",
        snapshot=snapshot.id,
        snapshot_digest=snapshot.digest,
        contract_digest=project.contract.digest,
        config_digest=project.system.digest,
        commit=project.commit,
        seed=session.seed,
        parts=session.material.parts,
        at=project.clock.now(),
        recipe=snapshot.report.recipe,
        behaviours=behaviours_digest(project),
    )


def chosen(project: Project, only: Sequence[str]) -> list[Candidate]:
    """The baseline first, then the others in the order of the file."""
    candidates = project.system.candidates
    unknown = sorted(set(only) - {candidate.name for candidate in candidates})
    if unknown:
        raise UserError(
            "there is no such candidate",
            got=", ".join(unknown),
            allowed=", ".join(candidate.name for candidate in candidates),
        )
    others = [one for one in candidates if not one.baseline and (not only or one.name in only)]
    return [project.system.baseline, *others]


def measured(session: Session, run: Run, candidate: Candidate, built: Built, *, baseline: tuple[str, Built]) -> Trained:
    """Measure the exported chain, and keep what came of it."""
    project, material = session.project, session.material
    evidence = measure_evidence(
        project.task,
        id=project.new_id("e"),
        run=run.id,
        baseline_run=baseline[0],
        candidate=run.candidate,
        snapshot=run.snapshot,
        truth=material.test_truth,
        outputs=built.outputs,
        baseline=baseline[1].outputs,
        groups=material.groups,
        group_by=material.group_by,
        policy=material.policy,
        latency=built.latency,
        size_bytes=sum(len(data) for data in built.files.values()),
        memory_mb=memory_of(built.chain, built.files, material.test_batch),
        draws=session.draws,
        seed=run.seed,
        at=run.at,
    )
    more, curves, warnings = cross_validated(session, candidate)
    evidence = msgspec.structs.replace(
        evidence, measures=(*evidence.measures, *more), curves=(*evidence.curves, *curves)
    )
    evidence = scrutinised(session, candidate, built, evidence)
    project.say(f"train   {run.candidate}: {headline(evidence)} on {evidence.rows:,} rows")
    run = msgspec.structs.replace(run, warnings=(*built.warnings, *warnings))
    return remembered(project, run, built, evidence, companions=companions_of(session, candidate, built))


def remembered(
    project: Project, run: Run, built: Built, evidence: Evidence, *, companions: Mapping[str, bytes]
) -> Trained:
    """Keep the chain's files and those beside it; put run and evidence on the ledger."""
    run = msgspec.structs.replace(
        run,
        fit_seconds=built.seconds,
        parity=built.parity,
        chain_digest=sha256(chain_bytes(built.chain)),
        documents=built.documents,
        companions={name: sha256(data) for name, data in companions.items()},
    )
    keep(project, run, built.chain, {**built.files, **companions})
    with project.ledger() as ledger:
        entries = [history.entry(one, id=one.id, actor=project.actor, at=run.at) for one in (run, evidence)]
        ledger.append(entries)
    return Trained(run=run, evidence=evidence)


def refused(project: Project, run: Run, error: KringError) -> Trained:
    """Record why a candidate ended without evidence."""
    state: RunState = "refused"
    run = msgspec.structs.replace(run, state=state, reason=error.lasting)
    project.say(f"train   {run.candidate}: refused: {error.message}")
    with project.ledger() as ledger:
        ledger.append([history.entry(run, id=run.id, actor=project.actor, at=run.at)])
    return Trained(run=run, evidence=None, why=str(error))


def headline(evidence: Evidence) -> str:
    """The first measure in one phrase."""
    first = evidence.measures[0]
    return f"{first.name} {first.value:.3f} [{first.low:.3f}, {first.high:.3f}]"

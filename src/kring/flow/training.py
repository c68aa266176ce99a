"""snapshot → prepare, train → run → evidence, for every candidate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.decide.prepare_rows import row_preparer
from kring.errors import CandidateError, IntegrityError, KringError, NotFound, Unavailable, UserError
from kring.experiment.evidence import LatencySample, measure_evidence
from kring.experiment.parity import parity, require_parity
from kring.flow import adapters, history
from kring.flow.fitting import Fitted, fit_candidate
from kring.flow.material import Material, gather, select
from kring.flow.project import Project
from kring.host.clock import stopwatch
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.evidence import Evidence
from kring.record.prepare import Prepared
from kring.record.run import Parity, Run, RunState
from kring.record.snapshot import Snapshot
from kring.record.system import Candidate
from kring.record.version import Chain, Link, Policy
from kring.runtimes.chain import open_chain

DRAWS: Final = 1000
LATENCY_ROWS: Final = 400
PREPARE_FILE: Final = "prepare.json"
MODEL_FILE: Final = "links/model.onnx"
CHAIN_FILE: Final = "chain.json"


@dataclass(frozen=True)
class Trained:
    """A run, and its evidence unless it was refused or failed."""

    run: Run
    evidence: Evidence | None


@dataclass(frozen=True)
class Session:
    """One training: what every candidate of it shares."""

    project: Project
    material: Material
    snapshot: Snapshot
    seed: int
    draws: int


@dataclass(frozen=True)
class Built:
    """A candidate's chain with its files, and what it says about the held-out rows with an outcome."""

    chain: Chain
    files: dict[str, bytes]
    outputs: NDArray[np.float64]
    latency: LatencySample
    parity: Parity
    seconds: float
    warnings: tuple[str, ...]


def train(
    project: Project, snapshot: Snapshot, *, only: Sequence[str] = (), seed: int = 0, draws: int = DRAWS
) -> list[Trained]:
    """Fit every candidate (or `only` those; the baseline always), prove the export, measure.

    A candidate that fails is a run with its reason and no evidence; a baseline that fails is a
    `CandidateError`. Runs and evidence are appended to the ledger as they end.
    """
    material = gather(project, snapshot)
    session = Session(project=project, material=material, snapshot=snapshot, seed=seed, draws=draws)
    project.say(
        f"split   {material.parts[0].rows:,} rows to learn from, {material.parts[1].rows:,} held out"
        f" from {material.cut_text}"
    )
    trained: list[Trained] = []
    baseline: tuple[str, Built] | None = None
    with project.working():
        for candidate in chosen(project, only):
            run = begun(session, candidate)
            try:
                built = build(session, candidate)
            except CandidateError as error:
                trained.append(refused(project, run, error))
                if candidate.baseline:
                    raise
                continue
            baseline = baseline or (run.id, built)
            trained.append(measured(session, run, built, baseline=baseline))
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


def build(session: Session, candidate: Candidate) -> Built:
    """Fit, export and prove one candidate. `CandidateError` when that fails, or a held-out row stays unanswered."""
    material = session.material
    prepared = material.prepared_for(candidate)
    policy = material.policy
    held_out = select(material.test_batch, names_of(prepared))
    fitted = None if candidate.rule else fit(session, candidate, prepared)
    chain, files = chained(candidate, prepared, policy, model=fitted.model if fitted else b"")
    runtime = open_chain(chain, files)
    outputs = answers(candidate, runtime, held_out, output=policy.output)
    by_rows, latency = row_path(session, candidate, prepared, runtime)
    trained = fitted.test_outputs if fitted else outputs
    proof = parity(trained, outputs, by_rows, threshold=policy.threshold, output=policy.output)
    require_parity(proof, candidate=candidate.name, output=policy.output)
    return Built(
        chain=chain,
        files=files,
        outputs=outputs,
        latency=latency,
        parity=proof,
        seconds=fitted.seconds if fitted else 0.0,
        warnings=fitted.warnings if fitted else (),
    )


def fit(session: Session, candidate: Candidate, prepared: Prepared) -> Fitted:
    """Learn from the rows to learn from; the held-out rows are only answered."""
    project, material = session.project, session.material
    names = names_of(prepared)
    project.say(f"fit     {candidate.name} on {material.train_batch.n:,} rows")
    return fit_candidate(
        candidate,
        framework=adapters.framework(),
        folder=project.folder,
        output=material.policy.output,
        columns=prepared.columns,
        train=select(material.train_batch, names),
        truth=material.train_truth,
        test=select(material.test_batch, names),
        seed=session.seed,
    )


def chained(
    candidate: Candidate, prepared: Prepared, policy: Policy, *, model: bytes
) -> tuple[Chain, dict[str, bytes]]:
    """The chain of a rule, or of a fitted `model`, and its files."""
    names = names_of(prepared)
    files = {PREPARE_FILE: msgspec.json.encode(prepared, order="sorted")}
    first = Link(kind="prepare", file=PREPARE_FILE, digest=sha256(files[PREPARE_FILE]))
    if candidate.rule:
        last = Link(kind="rule", expression=candidate.rule, inputs=names)
    else:
        files[MODEL_FILE] = model
        last = Link(kind="onnx", file=MODEL_FILE, digest=sha256(model), inputs=names)
    return Chain(candidate=candidate.name, links=(first, last), policy=policy), files


def names_of(prepared: Prepared) -> tuple[str, ...]:
    return tuple(column.name for column in prepared.columns)


def row_path(
    session: Session, candidate: Candidate, prepared: Prepared, runtime: Runtime
) -> tuple[NDArray[np.float64], LatencySample]:
    """The held-out rows again, from raw fields by the one-row path; and how long single rows take."""
    prepare = row_preparer(prepared, types=session.project.types)
    raw, output = session.material.test_raw, session.material.policy.output
    outputs = answers(candidate, runtime, prepare(raw), output=output)
    seconds = []
    for row in range(min(LATENCY_ROWS, raw.n)):
        one = Batch(1, {name: [column[row]] for name, column in raw.columns.items()})
        began = stopwatch()
        answers(candidate, runtime, prepare(one), output=output)
        seconds.append(stopwatch() - began)
    return outputs, LatencySample(seconds=tuple(seconds))


def measured(session: Session, run: Run, built: Built, *, baseline: tuple[str, Built]) -> Trained:
    """Measure the exported chain, keep its files, put run and evidence on the ledger."""
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
        draws=session.draws,
        seed=run.seed,
        at=run.at,
    )
    project.say(f"train   {run.candidate}: {headline(evidence)} on {evidence.rows:,} rows")
    run = msgspec.structs.replace(
        run,
        fit_seconds=built.seconds,
        parity=built.parity,
        warnings=built.warnings,
        chain_digest=sha256(chain_bytes(built.chain)),
    )
    keep(project, run, built)
    with project.ledger() as ledger:
        ledger.append(
            [
                history.entry(run, id=run.id, actor=project.actor, at=run.at),
                history.entry(evidence, id=evidence.id, actor=project.actor, at=run.at),
            ]
        )
    return Trained(run=run, evidence=evidence)


def refused(project: Project, run: Run, error: KringError) -> Trained:
    """Record why a candidate ended without evidence."""
    state: RunState = "refused"
    run = msgspec.structs.replace(run, state=state, reason=str(error))
    project.say(f"train   {run.candidate}: refused: {error.message}")
    with project.ledger() as ledger:
        ledger.append([history.entry(run, id=run.id, actor=project.actor, at=run.at)])
    return Trained(run=run, evidence=None)


def keep(project: Project, run: Run, built: Built) -> None:
    """Put the chain's files into the run's folder, all of them or none."""
    target = project.home.runs / run.id
    beside = project.home.runs / f".{run.id}.part"
    try:
        project.files.write(beside / CHAIN_FILE, chain_bytes(built.chain))
        for name, data in built.files.items():
            project.files.write(beside / name, data)
        project.files.publish(beside, target)
    except (KringError, KeyboardInterrupt):
        with suppress(Unavailable):
            project.files.remove(beside)
        raise


def chain_bytes(chain: Chain) -> bytes:
    return msgspec.json.encode(chain, order="sorted")


def kept(project: Project, run: Run) -> tuple[Chain, dict[str, bytes]]:
    """A run's chain and files. `IntegrityError` when they are not what the ledger says was stored."""
    folder = project.home.runs / run.id
    chain = msgspec.json.decode(as_stored(project, folder / CHAIN_FILE, digest=run.chain_digest), type=Chain)
    files = {link.file: as_stored(project, folder / link.file, digest=link.digest) for link in chain.links if link.file}
    return chain, files


def as_stored(project: Project, path: Path, *, digest: str) -> bytes:
    """The bytes at `path`, when their SHA-256 is `digest`; `IntegrityError` otherwise."""
    try:
        data = project.files.read(path)
        found = sha256(data)
    except NotFound:
        data, found = b"", "no such file"
    if found != digest:
        raise IntegrityError(
            f"{path.name} is not what this run stored",
            got=found,
            allowed=f"SHA-256 {digest}",
            next="train again: kring train",
            file=str(path),
        )
    return data


def headline(evidence: Evidence) -> str:
    """The first measure in one phrase."""
    first = evidence.measures[0]
    return f"{first.name} {first.value:.3f} [{first.low:.3f}, {first.high:.3f}]"


def answers(candidate: Candidate, runtime: Runtime, batch: Batch, *, output: str) -> NDArray[np.float64]:
    """A finite number for every row, shape (n,): evidence has no gaps. `CandidateError` without."""
    key = f"candidate.{candidate.name}"
    try:
        values = np.asarray(runtime.answer(batch).columns[output], dtype=np.float64)
    except Unavailable as error:
        raise CandidateError(f"candidate {candidate.name}: {error.message}", got=error.got, key=key) from error
    missing = int(np.isnan(values).sum())
    if missing:
        raise CandidateError(
            f"candidate {candidate.name} has no answer for {missing:,} of {batch.n:,} held-out rows",
            got=f"missing, infinite or out of range: {missing:,} rows",
            allowed=f"a {output} for every row",
            next="let a rule answer rows with missing inputs too: where(is_null(x), 0.5, ...)",
            key=key,
        )
    return values


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

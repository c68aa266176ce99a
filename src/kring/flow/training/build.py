"""candidate → chain: made, opened in the runtime that will serve it, and proved on the held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.decide.prepare_rows import row_preparer
from kring.errors import CandidateError, Unavailable
from kring.experiment.evidence import LatencySample
from kring.experiment.parity import parity, require_parity
from kring.flow import adapters, knowledge
from kring.flow.project import Project
from kring.flow.training.code import code_link
from kring.flow.training.fit import fit_candidate
from kring.flow.training.keep import sha256
from kring.flow.training.material import Material, select
from kring.host.clock import stopwatch
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.prepare import Prepared
from kring.record.run import Parity
from kring.record.snapshot import Snapshot
from kring.record.system import Candidate
from kring.record.version import Chain, Link
from kring.runtimes.chain import OpenChain, open_chain

LATENCY_TRIES: Final = 400
PREPARE_FILE: Final = "prepare.json"
MODEL_FILE: Final = "links/model.onnx"


@dataclass(frozen=True)
class Session:
    """One training: what every candidate of it shares, and what is there so far: by name, the candidates that are
    done with their runs, and what they answered in the folds."""

    project: Project
    material: Material
    snapshot: Snapshot
    seed: int
    draws: int
    thorough: bool = True
    done: dict[str, tuple[str, Built]] = field(default_factory=dict)
    out_of_fold: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """The last link of a chain with its files. `outputs` are a fitted estimator's own answers to the
    held-out rows, to prove the export by; None where nothing was exported. `documents` is the digest over what an
    index was made from."""

    link: Link
    files: dict[str, bytes] = field(default_factory=dict)
    outputs: NDArray[np.float64] | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    documents: str = ""


@dataclass(frozen=True)
class Built:
    """A candidate's chain with its files, and what it says about the held-out rows."""

    chain: Chain
    files: dict[str, bytes]
    outputs: NDArray[np.float64]
    latency: LatencySample
    parity: Parity
    seconds: float
    warnings: tuple[str, ...]
    documents: str = ""


def build(session: Session, candidate: Candidate) -> Built:
    """Make, export and prove one candidate. `CandidateError` when that fails, or a held-out row stays unanswered."""
    material, policy = session.material, session.material.policy
    prepared = material.prepared_for(candidate)
    made = maker_of(candidate)(session, candidate, prepared)
    chain, files = chained(session, candidate, prepared, made)
    with opened(candidate, chain, files) as runtime:
        outputs = answers(session, candidate, runtime, select(material.test_batch, names_of(prepared)))
        by_rows, latency = row_path(session, candidate, prepared, runtime)
    proof = parity(
        outputs if made.outputs is None else made.outputs,
        outputs,
        by_rows,
        apart=lambda left, right: session.project.task.apart(left, right, policy),
    )
    require_parity(proof, candidate=candidate.name)
    return Built(
        chain=chain,
        files=files,
        outputs=outputs,
        latency=latency,
        parity=proof,
        seconds=made.seconds,
        warnings=made.warnings,
        documents=made.documents,
    )


Maker = Callable[[Session, Candidate, Prepared], Made]


def maker_of(candidate: Candidate) -> Maker:
    """How the last link of this candidate's chain comes to be."""
    if candidate.of:
        return varied
    if candidate.builtin in knowledge.BUILTINS:
        return worded
    if candidate.code:
        return coded
    return written if candidate.rule else fitted


def opened(candidate: Candidate, chain: Chain, files: dict[str, bytes]) -> OpenChain:
    """The chain in the runtime that will serve it. `CandidateError` for code that can't be started."""
    try:
        return open_chain(chain, files, open_index=adapters.open_index)
    except Unavailable as error:
        if not candidate.code:
            raise
        raise CandidateError(
            f"candidate {candidate.name}: {error.message}",
            got=error.got,
            allowed=error.allowed,
            next=error.next or "mend the file; it sees what is named in files, Python's own folders, and nothing else",
            key=f"candidate.{candidate.name}.code",
        ) from error


def written(session: Session, candidate: Candidate, prepared: Prepared) -> Made:
    """A rule is its own link."""
    del session
    return Made(link=Link(kind="rule", expression=candidate.rule, inputs=names_of(prepared)))


def coded(session: Session, candidate: Candidate, prepared: Prepared) -> Made:
    """Code is its own link too, with the files that it needs: nothing is fitted or exported."""
    link, files = code_link(session.project, candidate, names_of(prepared))
    return Made(link=link, files=files)


def fitted(session: Session, candidate: Candidate, prepared: Prepared) -> Made:
    """Learn from the rows to learn from; the held-out rows are only answered."""
    project, material = session.project, session.material
    knowledge.require_numbers(candidate, material.policy)
    names = names_of(prepared)
    project.say(f"fit     {candidate.name} on {material.train_batch.n:,} rows")
    done = fit_candidate(
        candidate,
        framework=adapters.framework(candidate.builtin),
        folder=project.folder,
        policy=material.policy,
        columns=prepared.columns,
        train=select(material.train_batch, names),
        truth=material.train_truth,
        test=select(material.test_batch, names),
        seed=session.seed,
    )
    return Made(
        link=Link(kind="onnx", file=MODEL_FILE, digest=sha256(done.model), inputs=names),
        files={MODEL_FILE: done.model},
        outputs=done.test_outputs,
        seconds=done.seconds,
        warnings=done.warnings,
    )


def worded(session: Session, candidate: Candidate, prepared: Prepared) -> Made:
    """Documents that were made into an index, or answers written by hand."""
    material, names = session.material, names_of(prepared)
    rows = knowledge.Rows(select(material.train_batch, names), material.train_truth, material.policy)
    began = stopwatch()
    done = knowledge.learned(session.project, candidate, rows)
    return Made(
        link=done.link, files={done.link.file: done.data}, seconds=stopwatch() - began, documents=done.documents
    )


def varied(session: Session, candidate: Candidate, prepared: Prepared) -> Made:
    """The graph of another candidate, its numbers kept in fewer bytes. What it answers is its own: that is what
    is measured and served."""
    key = f"candidate.{candidate.name}"
    if candidate.of not in session.done:
        raise CandidateError(
            f"candidate {candidate.of}, of which {candidate.name} is a variant, was refused",
            next=f"mend {candidate.of} first: its own run says why",
            key=f"{key}.of",
        )
    base = session.done[candidate.of][1].files
    if MODEL_FILE not in base:
        raise CandidateError(
            f"candidate {candidate.of} holds no numbers that fit into fewer bytes",
            got=", ".join(sorted(base)),
            allowed="a fitted candidate",
            next=f"take {candidate.name} out",
            key=f"{key}.of",
        )
    try:
        model = adapters.smaller(base[MODEL_FILE], candidate.precision or "fp16")
    except CandidateError as error:
        raise CandidateError(
            f"candidate {candidate.name}: {error.message}",
            got=error.got,
            allowed=error.allowed,
            next=error.next,
            key=f"{key}.precision",
        ) from error
    link = Link(kind="onnx", file=MODEL_FILE, digest=sha256(model), inputs=names_of(prepared))
    return Made(link=link, files={MODEL_FILE: model})


def chained(session: Session, candidate: Candidate, prepared: Prepared, made: Made) -> tuple[Chain, dict[str, bytes]]:
    """The prepare link before the one that was made, and all their files. It prepares what the policy reads too."""
    pinned = session.material.pinned_for(prepared)
    files = {PREPARE_FILE: msgspec.json.encode(pinned, order="sorted"), **made.files}
    first = Link(kind="prepare", file=PREPARE_FILE, digest=sha256(files[PREPARE_FILE]))
    policy, price = session.material.policy, session.project.system.price_of(candidate)
    return Chain(candidate=candidate.name, links=(first, made.link), policy=policy, price=price), files


def names_of(prepared: Prepared) -> tuple[str, ...]:
    return tuple(column.name for column in prepared.columns)


def row_path(
    session: Session, candidate: Candidate, prepared: Prepared, runtime: Runtime
) -> tuple[NDArray[np.float64], LatencySample]:
    """The held-out rows again, from raw fields by the one-row path, the first of them one by one: a row alone is
    answered as in company; and how long single rows take."""
    prepare = row_preparer(prepared, types=session.project.types)
    raw = session.material.test_raw
    outputs = answers(session, candidate, runtime, prepare(raw)).copy()
    seconds = []
    for turn in range(LATENCY_TRIES if raw.n else 0):
        row = turn % raw.n
        one = Batch(1, {name: [column[row]] for name, column in raw.columns.items()})
        began = stopwatch()
        alone = answers(session, candidate, runtime, prepare(one))
        seconds.append(stopwatch() - began)
        outputs[row] = alone[0]
    return outputs, LatencySample(seconds=tuple(seconds))


def said(session: Session, candidate: Candidate, runtime: Runtime, batch: Batch) -> NDArray[np.float64]:
    """An answer to every row that has one, as the task reads it. `CandidateError` when nothing is said at all."""
    try:
        return session.project.task.outputs(runtime.answer(batch), session.material.policy)
    except Unavailable as error:
        raise CandidateError(
            f"candidate {candidate.name}: {error.message}",
            got=error.got,
            next=error.next,
            key=f"candidate.{candidate.name}",
        ) from error


def answers(session: Session, candidate: Candidate, runtime: Runtime, batch: Batch) -> NDArray[np.float64]:
    """As `said`, with an answer to every row: evidence has no gaps. `CandidateError` without."""
    task = session.project.task
    outputs = said(session, candidate, runtime, batch)
    missing = batch.n - int(task.answered(outputs).sum())
    if missing:
        raise CandidateError(
            f"candidate {candidate.name} has no answer for {missing:,} of {batch.n:,} held-out rows",
            got=f"missing, infinite or out of range: {missing:,} rows",
            allowed=f"a {task.output} for every row",
            next="let it answer rows with missing inputs too"
            + (": where(is_null(x), 0.5, ...)" if candidate.rule else ", which are NaN" if candidate.code else ""),
            key=f"candidate.{candidate.name}",
        )
    return outputs

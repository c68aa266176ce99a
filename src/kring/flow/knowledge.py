"""documents → passages → index, with as much support asked for as pays on the rows to learn from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kring.errors import CandidateError, DataError
from kring.flow import adapters
from kring.flow.project import Project
from kring.ports.task import Task
from kring.record.batch import Batch
from kring.record.passage import Passage, Ranking
from kring.record.system import Candidate, Knowledge
from kring.record.version import Link, Policy
from kring.retrieval.passages import passages
from kring.retrieval.rules import read_rules
from kring.runtimes.retrieval import open_retrieval
from kring.sources.documents import Library, read_documents

BUILTINS: Final = ("retrieval", "canned")
INDEX_FILE: Final = "links/index.sqlite"
CANNED_FILE: Final = "links/answers.json"
MOST_PASSAGES: Final = 200_000
MOST_TRIED: Final = 256
"""So many limits on support are tried, evenly spread over those that part the rows to learn from."""

LIMITS: Final = {
    "k": (1, 100),
    "k1": (0, 10),
    "b": (0, 1),
    "title_weight": (0, 100),
    "pair_weight": (0, 10),
    "enough": (0.01, 1),
}


@dataclass(frozen=True)
class Learned:
    """What a link that answers in words lies in, and the digest over the documents behind it."""

    link: Link
    data: bytes
    documents: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows to learn from: prepared columns, their truth, and the policy that decides."""

    batch: Batch
    truth: NDArray[np.float64]
    policy: Policy


def learned(project: Project, candidate: Candidate, rows: Rows) -> Learned:
    """The last link of a built-in that answers in words. `CandidateError` for params that it doesn't have."""
    if project.task.output != "answer":
        raise _wrong(candidate, f"builtin {candidate.builtin}", "a task that answers in words", "builtin")
    inputs = tuple(rows.batch.columns)
    return _canned(project, candidate, inputs) if candidate.builtin == "canned" else _indexed(project, candidate, rows)


def require_numbers(candidate: Candidate, policy: Policy) -> None:
    """`CandidateError` for a candidate that learns numbers where an answer in words is asked for."""
    if policy.output == "answer":
        allowed = " or ".join(f'builtin = "{name}"' for name in BUILTINS)
        raise _wrong(candidate, f"{candidate.kind}, which does not answer in words", allowed, "builtin")


def look_over(project: Project) -> tuple[str, ...]:
    """What is to be told of the documents; nothing for a system without. `DataError` when there are none to read."""
    if project.system.knowledge is None:
        return ()
    library = _library(project, project.system.knowledge)
    project.say(f"check   {len(library.documents):,} documents to answer from")
    return told(library)


def told(library: Library) -> tuple[str, ...]:
    """Files that are no documents, with the reason, and what was found in those that are."""
    return (*(f"{each.id} is no document: {each.reason}" for each in library.skipped), *library.notes)


def _library(project: Project, knowledge: Knowledge) -> Library:
    return read_documents(project.folder, knowledge.documents)


def _canned(project: Project, candidate: Candidate, inputs: tuple[str, ...]) -> Learned:
    name = candidate.params.get("file")
    if set(candidate.params) != {"file"} or not isinstance(name, str):
        raise _wrong(candidate, ", ".join(candidate.params) or "no params", 'params = { file = "answers.toml" }')
    path = project.folder / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(project.folder.resolve()):
        raise _wrong(candidate, name, "a file in the system's folder")
    try:
        text = project.files.read(path).decode()
    except UnicodeDecodeError as error:
        raise _wrong(candidate, f"{name}: {error}", "a TOML file in UTF-8") from error
    data = msgspec.json.encode(read_rules(text, file=str(path)), order="sorted")
    return Learned(Link(kind="canned", file=CANNED_FILE, digest=_sha256(data), inputs=inputs), data)


def _indexed(project: Project, candidate: Candidate, rows: Rows) -> Learned:
    knowledge = project.system.knowledge
    if knowledge is None:
        raise _wrong(candidate, "no [knowledge]", 'documents = ["docs/*.md"] under [knowledge]', "builtin")
    ranking = _ranking(candidate)
    library = _library(project, knowledge)
    pieces = [piece for document in library.documents for piece in passages(document, chunk=knowledge.chunk)]
    if not 0 < len(pieces) <= MOST_PASSAGES:
        raise DataError(
            "these documents can't be searched",
            key="knowledge.documents",
            got=f"{len(pieces):,} passages",
            allowed=f"1 to {MOST_PASSAGES:,}",
        )
    project.say(f"index   {len(pieces):,} passages of {len(library.documents):,} documents")
    documents = {document.id: document.digest for document in library.documents}
    if "enough" not in candidate.params:
        enough = _enough(project.task, rows, _built(pieces, documents, ranking))
        ranking = msgspec.structs.replace(ranking, enough=enough)
    data = _built(pieces, documents, ranking)
    link = Link(kind="retrieval", file=INDEX_FILE, digest=_sha256(data), inputs=tuple(rows.batch.columns))
    return Learned(link, data, _sha256(msgspec.json.encode(documents, order="sorted")))


def _built(pieces: list[Passage], documents: dict[str, str], ranking: Ranking) -> bytes:
    return adapters.build_index(pieces, documents=documents, ranking=ranking)


def _ranking(candidate: Candidate) -> Ranking:
    try:
        ranking = msgspec.convert(candidate.params, Ranking)
    except msgspec.ValidationError as error:
        raise _wrong(candidate, str(error), ", ".join(LIMITS)) from error
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(ranking, name) <= high:
            raise _wrong(candidate, f"{name} = {getattr(ranking, name):g}", f"{name} from {low:g} to {high:g}")
    return ranking


def _enough(task: Task, rows: Rows, data: bytes) -> float:
    """The share of a question's words from which answering costs least on the rows to learn from; the most
    cautious one of several that cost the same."""
    link = Link(kind="retrieval", inputs=tuple(rows.batch.columns))
    index = adapters.open_index(data)
    try:
        answered = open_retrieval(index, link).answer(rows.batch)
    finally:
        index.close()
    known = task.known(rows.truth)
    truth, outputs = rows.truth[known], task.outputs(answered, rows.policy)[known]
    if not len(truth):
        return Ranking().enough
    shares = np.unique(np.asarray(answered.columns["support"], dtype=np.float64)[known])
    between = (shares[1:] + shares[:-1]) / 2
    if len(between) > MOST_TRIED:
        between = between[np.linspace(0, len(between) - 1, MOST_TRIED).astype(np.intp)]
    limits = np.clip([0.0, *between.tolist(), 1.0], *LIMITS["enough"])
    costs = [
        float(task.losses(truth, outputs, msgspec.structs.replace(rows.policy, threshold=limit)).mean())
        for limit in limits.tolist()
    ]
    cheapest: float = max(
        limit for limit, cost in zip(limits.tolist(), costs, strict=True) if cost <= min(costs) + 1e-12
    )
    return round(cheapest, 4)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _wrong(candidate: Candidate, got: str, allowed: str, key: str = "params") -> CandidateError:
    return CandidateError(
        f"candidate {candidate.name} can't be built", got=got, allowed=allowed, key=f"candidate.{candidate.name}.{key}"
    )

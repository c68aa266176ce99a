"""One question → the live version, or whoever stands in for it → an answer on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from kring.contracts.questions import texts_read
from kring.errors import KringError, Unsupported, UserError
from kring.flow.deciding import Opened, answerer_of, open_decider
from kring.flow.project import Project
from kring.flow.scoring.score import live_pointer, open_log
from kring.flow.versions import require_same_reading, verified
from kring.metrics.ids import decision_ids
from kring.record.batch import Batch
from kring.record.decision import Decisions, Value
from kring.record.reply import Reply
from kring.record.rollout import Pointer
from kring.record.version import Chain
from kring.runtimes.broken import BrokenRuntime
from kring.serve.fallback import Answerer

ANSWER: Final = "answer"
MOST_BYTES: Final = 8 << 20


def ask(project: Project, question: str) -> Reply:
    """Put `question` to the live version. The decision is durable in the log before this returns.

    A version whose chain can't be opened, or fails, is stood in for by the previous one, the baseline, the declared
    default. `UserError` without a question, `Unsupported` for a system that answers otherwise than in words,
    `IntegrityError` when the live version is not what was signed, `Unavailable` when nothing can answer.
    """
    text = question.encode("utf-8", "replace").decode()
    if not text.strip() or len(text) > MOST_BYTES:
        raise UserError(
            "there is no question" if not text.strip() else "this is more than a question",
            got=f"{len(text):,} characters" if text else "an empty text",
            allowed="a text of up to 8 MiB",
            next='kring ask "How do I …?"',
        )
    field = question_field(project)
    pointer = live_pointer(project)
    raw = Batch(1, {name: [value] for name, value in row_of(project, field, text).items()})
    opened = opened_all(project, pointer)
    try:
        decider = open_decider(project, pointer, opened, clock=project.clock)
        record = decider.decide(raw, at=project.clock.now(), kind="online")[0].record
    finally:
        for each in opened.values():
            each.answerer.runtime.close()
            each.baseline.runtime.close()
    with project.working(), open_log(project) as log:
        place = log.append(record)
        log.commit()
    return reply_of(record, question=text, decision=decision_ids(place, 1)[0])


def question_field(project: Project) -> str:
    """The one text that prepared columns are made from."""
    texts = texts_read(project.system.prepare, types=project.types)
    if project.task.output != ANSWER or len(texts) != 1:
        raise Unsupported(
            f"{project.system.name} does not answer questions in words",
            got=f"columns made from the texts {', '.join(texts)}" if texts else "no column that is made from a text",
            allowed="a system that answers from documents, with one text to prepare",
            next="decide rows of a file with kring score",
        )
    return texts[0]


def row_of(project: Project, field: str, question: str) -> dict[str, Value]:
    """The question as a row of the contract: with a fresh key, now, and nothing else."""
    row: dict[str, Value] = {one.name: None for one in project.contract.fields if one.name not in project.known_later}
    keys = [one.name for one in project.contract.fields if one.primary_key and one.type == "string"]
    row |= dict.fromkeys(keys, project.new_id("q"))
    if project.system.data.time:
        row[project.system.data.time] = project.clock.now()
    return row | {field: question}


def opened_all(project: Project, pointer: Pointer) -> dict[str, Opened]:
    """The live version, the canary and the previous one, verified. One of the others that isn't what was signed is
    left out."""
    opened = {pointer.live: opened_as_far(project, pointer.live)}
    require_same_reading(project, opened[pointer.live].loaded)
    for version in {pointer.canary, pointer.previous} - {"", pointer.live}:
        try:
            opened[version] = opened_as_far(project, version)
        except KringError as error:
            project.say(f"version {version} can't be opened and answers nothing: {error.message}")
    return opened


def opened_as_far(project: Project, version: str) -> Opened:
    """A verified version; a chain of it that can't be opened answers nothing."""
    loaded = verified(project, version)
    chains = {version: loaded.manifest.chain, f"{version}/baseline": loaded.manifest.baseline}
    answerer, baseline = (rung(project, name, chain, loaded.files) for name, chain in chains.items())
    return Opened(id=version, loaded=loaded, answerer=answerer, baseline=baseline)


def rung(project: Project, name: str, chain: Chain, files: Mapping[str, bytes]) -> Answerer[pl.DataFrame]:
    """The chain, or what says why it can't be opened."""
    try:
        return answerer_of(project, name, chain, files)
    except KringError as error:
        project.say(f"{name} can't be opened and answers nothing: {error.message}")
        return Answerer(
            version=name,
            prepare=lambda rows: Batch(rows.height, {}),
            runtime=BrokenRuntime(error),
            policy=chain.policy,
            decide=project.task.decide,
        )


def reply_of(record: Decisions, *, question: str, decision: str) -> Reply:
    """What is told of the one row of `record`."""
    said = {name: column[0] for name, column in record.outputs.items()}
    text, share = said.get(ANSWER), said.get("support")
    return Reply(
        question=question,
        answer=str(said["decision"]),
        found=bool(text) and said["decision"] == text,
        citations=tuple(str(said.get("citations") or "").split()),
        support=float(share) if isinstance(share, int | float) else 0.0,
        decision=decision,
        version=record.version,
        answered_by=record.answered_by,
        fallback=record.fallback,
        guards=tuple(record.guards.get(0, ())),
    )

"""decision → why: by the version that answered it, asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

import msgspec
import numpy as np
import polars as pl

from kring.decide.guard import frame_imputer
from kring.decide.policy import REASON
from kring.errors import Conflict, IntegrityError, NotFound, UserError
from kring.explain.row import Asked, Explainer, by_shapley, explain_row
from kring.explain.words import named_columns
from kring.flow import adapters
from kring.flow.deciding import Opened, frame_reader, open_answerers
from kring.flow.project import Project
from kring.flow.recording import unsealed
from kring.flow.retaining import look_up
from kring.ports.sealer import ERASED
from kring.record.background import Background
from kring.record.batch import Batch, Column
from kring.record.decision import ABSTAINED, IMPUTED, OUTLIER, REVIEW, Decisions, Value
from kring.record.explanation import Explanation, Method, Way
from kring.record.prepare import Prepared
from kring.record.version import Policy
from kring.serve.decider import REJECTED, UNANSWERED
from kring.serve.fallback import Answerer

METHODS: Final = get_args(Method)
BACKGROUND: Final = "background.json"
CLOSE: Final = 1e-5
"""How far the answer that is explained may lie from the one on record."""


class Kept(msgspec.Struct, frozen=True):
    """An explanation that was kept: `record` is the digest of the decision's own record, `digest` that of all of it."""

    explanation: Explanation
    record: str
    digest: str


def explain(project: Project, id: str, *, method: Method = "shap") -> Explanation:
    """Why decision `id` came out as it did. What was found out once is kept, and checked before it is told again.

    `NotFound` for an id that is in no log and for a version without background rows, `MissingExtra` for LIME without
    its package, `Conflict` when the version's answer is no longer the one on record, `Refused` when there is nothing
    to compare the row with.
    """
    if method not in METHODS:
        raise UserError("there is no such method", got=repr(method), allowed=", ".join(METHODS))
    explainer = by_shapley if method == "shap" else adapters.lime()
    log = adapters.read_log(project.home.log, system=project.system.name)
    decisions, row = look_up(project, log, id)
    one = row_of(decisions, row)
    place = project.home.explanations / f"{id}.{method}.json"
    record = digest_of(one)
    kept = recalled(project, place, record=record)
    if kept is None:
        kept = found(project, id, unsealed(project, one), explainer=explainer)
        keep(project, place, kept, record=record)
    return kept


def row_of(decisions: Decisions, row: int) -> Decisions:
    """One row of a batch as a batch of one. `UserError` for a shadow, which was asked with another's inputs."""
    if decisions.kind == "shadow":
        raise UserError(
            "this is what a version in shadow said to another decision's inputs",
            next="explain the decision that it shadowed: kring status names the live version",
        )
    return msgspec.structs.replace(
        decisions,
        n=1,
        inputs={name: [column[row]] for name, column in decisions.inputs.items()},
        outputs={name: [column[row]] for name, column in decisions.outputs.items()},
        guards={0: decisions.guards[row]} if row in decisions.guards else {},
        subjects=decisions.subjects[row : row + 1],
        rows=decisions.rows[row : row + 1],
    )


def digest_of(one: Decisions) -> str:
    """SHA-256 of a decision's own record, with personal values sealed as they lie there."""
    guards = one.guards.get(0, [])
    bare = msgspec.structs.replace(one, guards={})
    return hashlib.sha256(msgspec.json.encode((bare, guards), order="sorted")).hexdigest()


def recalled(project: Project, place: Path, *, record: str) -> Explanation | None:
    """The explanation at `place`, when it is whole and speaks of this very record."""
    try:
        kept = msgspec.json.decode(project.files.read(place), type=Kept)
    except (NotFound, msgspec.MsgspecError):
        return None
    return kept.explanation if kept == sealed(kept.explanation, record) else None


def keep(project: Project, place: Path, explanation: Explanation, *, record: str) -> None:
    """Write the explanation down, whole or not at all."""
    with project.working():
        project.files.write(place, msgspec.json.encode(sealed(explanation, record), order="sorted"))


def sealed(explanation: Explanation, record: str) -> Kept:
    data = msgspec.json.encode(explanation, order="sorted") + record.encode()
    return Kept(explanation, record, hashlib.sha256(data).hexdigest())


def found(project: Project, id: str, one: Decisions, *, explainer: Explainer) -> Explanation:
    """The explanation of the one decision in `one`."""
    version, _, part = one.answered_by.partition("/")
    if not version.startswith("v_"):
        return told(project, id, one, method="none", reasons=unanswered(one))
    opened = open_answerers(project, version)
    answerer = opened.baseline if part else opened.answerer
    if answerer.policy.output == "answer":
        cited = str(one.outputs.get("citations", [""])[0] or "").split()
        return told(project, id, one, method="citations", reasons=tuple(f"it stands in {name}" for name in cited))
    chain = opened.loaded.manifest.baseline if part else opened.loaded.manifest.chain
    prepared = msgspec.json.decode(opened.loaded.files[chain.links[0].file], type=Prepared)
    asked = Asked(
        id=id,
        system=project.system.name,
        decision=one.outputs["decision"][0],
        columns=named_columns(prepared, project.contract),
    )
    background = background_of(opened, folder="baseline/" if part else "")
    explanation = explain_row(answerer, background, raw_row(project, one), asked=asked, explainer=explainer)
    require_same(explanation, one, answerer)
    reasons = (*judged_by(one, answerer.policy), *explanation.reasons)
    return msgspec.structs.replace(explanation, reasons=reasons)


def raw_row(project: Project, one: Decisions) -> pl.DataFrame:
    """The inputs on record, as they were decided on; what was erased or is not there is missing."""
    known = (field.name for field in project.contract.fields if field.name not in project.known_later)
    values = {name: one.inputs.get(name, [None])[0] for name in known}
    columns: dict[str, Column] = {name: [None if value == ERASED else value] for name, value in values.items()}
    frame = frame_reader(project)(Batch(1, columns))
    imputed = one.guards if IMPUTED in one.guards.get(0, ()) else {}
    return frame_imputer(project.contract)(frame, imputed)[0]


def background_of(opened: Opened, *, folder: str) -> Background:
    """The rows that the version is explained against; `NotFound` says how to get them."""
    data = opened.loaded.files.get(folder + BACKGROUND)
    if data is None:
        raise NotFound(
            f"version {opened.id} carries no rows to explain its answers against",
            got="it was made by a Kring that did not keep them",
            next="make a version that does: kring go; its decisions can be explained",
        )
    try:
        return msgspec.json.decode(data, type=Background)
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"{folder}{BACKGROUND} of {opened.id} can't be read", got=str(error)) from error


def require_same(explanation: Explanation, one: Decisions, answerer: Answerer[pl.DataFrame]) -> None:
    """`Conflict` unless the version says again what it said."""
    label = explanation.output.removeprefix("the probability of ")
    name = {"probabilities": f"probability.{label}"}.get(answerer.policy.output, answerer.policy.output)
    said = one.outputs.get(name, [None])[0]
    value = explanation.value
    if value is not None and isinstance(said, int | float) and abs(value - said) <= CLOSE * max(1.0, abs(said)):
        return
    raise Conflict(
        "asked again, the version gives another answer than the one on record",
        got=f"{value} from the inputs on record",
        allowed=f"{said}, as recorded",
        next="the contract reads the inputs in another way now, or a personal input was erased: nothing is explained",
    )


def judged_by(one: Decisions, policy: Policy) -> tuple[str, ...]:
    """What decided beside the model, in words."""
    guards = one.guards.get(0, ())
    rule: Value = one.outputs.get(REASON, [None])[0]
    words = [f"a business rule decided: {rule}"] if rule is not None else []
    words += [f"the system abstained: {policy.abstain}"] if ABSTAINED in guards else []
    if OUTLIER in guards:
        review = one.outputs["decision"][0] == REVIEW and rule is None
        words.append("the row is unlike those that were learned from" + (": a person decides" if review else ""))
    return tuple(words)


def unanswered(one: Decisions) -> tuple[str, ...]:
    """Why no model answered."""
    broken = ", ".join(one.guards.get(0, ()))
    words: Mapping[str, str] = {
        REJECTED: f"the row was turned away, since it breaks the contract: {broken}",
        UNANSWERED: f"nobody could answer: {one.fallback}",
    }
    return (words.get(one.answered_by, f"nobody could answer, so the declared default was given: {one.fallback}"),)


def told(project: Project, id: str, one: Decisions, *, method: Way, reasons: tuple[str, ...]) -> Explanation:
    """An explanation without contributions."""
    support = one.outputs.get("support", [None])[0]
    return Explanation(
        decision=id,
        system=project.system.name,
        version=one.version,
        answered_by=one.answered_by,
        method=method,
        output="the support of the answer" if method == "citations" else "",
        value=float(support) if isinstance(support, int | float) and not np.isnan(support) else None,
        reasons=reasons,
    )

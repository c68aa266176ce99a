"""Decisions that people look at: which wait, what was said of them, and how far people agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kring.charts.words import rfc3339
from kring.errors import UserError
from kring.flow import adapters
from kring.flow.operating.following import cursors_since
from kring.flow.policies import Policies
from kring.flow.project import Project
from kring.flow.recording import unsealed
from kring.flow.reporting import Delivery, report_outcomes, target_of
from kring.flow.viewing.decisions import row_of
from kring.learn.review import Made, Wanted, sureness, wanted
from kring.metrics.agreement import Agreement, cohen, fleiss, krippendorff
from kring.metrics.ids import decision_block, decision_id, decision_raw
from kring.ports.decision_log import DecisionHistory, Logged
from kring.record.decision import Decisions, Outcomes, Value
from kring.record.evidence import Measure
from kring.record.outcome import Reported, Told
from kring.record.review import REVIEWED, Contradiction, ReviewQueue, ToReview

SPAN_US: Final = 30 * 86_400_000_000
MOST_DECISIONS: Final = 200_000
"""The newest decisions of the span that are looked through."""

NEXT: Final = 10
MOST_NAMED: Final = 20
LONGEST_NAME: Final = 80


@dataclass
class Heard:
    """What the log says of the span: decisions by their 16 bytes, what reviewers said of each by name, and whose
    outcome is known otherwise."""

    project: Project
    made: dict[bytes, Made] = field(default_factory=dict)
    said: dict[bytes, dict[str, Value]] = field(default_factory=lambda: defaultdict(dict))
    known: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._policies = Policies(self.project)

    def hear(self, logged: Logged, *, since: int) -> None:
        """One frame."""
        record = logged.record
        if isinstance(record, Outcomes):
            self._told(record)
        elif isinstance(record, Decisions) and record.at >= since:
            if record.arm == "shadow":
                self._shadowed(record)
            else:
                self._decided(record, logged)

    def _told(self, record: Outcomes) -> None:
        if not record.source.startswith(REVIEWED):
            self.known.update(record.ids)
            return
        name = record.source.removeprefix(REVIEWED)
        for raw, value in zip(record.ids, record.values, strict=True):
            self.said[raw][name] = value

    def _decided(self, record: Decisions, logged: Logged) -> None:
        policy = self._policies.of(record.answered_by)
        labels, threshold = (policy.labels, policy.threshold) if policy else ((), 0.5)
        sure = sureness(record.outputs, labels=labels, threshold=threshold or 0.5, n=record.n).tolist()
        decisions = record.outputs.get("decision", [None] * record.n)
        raw = decision_block(logged.place, record.n).tobytes()
        for row, decision in enumerate(decisions):
            id = raw[16 * row : 16 * row + 16]
            self.made[id] = Made(decision_id(id), record.at, decision, sure[row], bool(record.guards.get(row)), False)
        while len(self.made) > MOST_DECISIONS:
            del self.made[next(iter(self.made))]

    def _shadowed(self, record: Decisions) -> None:
        for raw, decision in zip(record.refers, record.outputs.get("decision", []), strict=False):
            made = self.made.get(raw)
            if made is not None and isinstance(decision, str) and decision != made.decision:
                self.made[raw] = made._replace(disagreed=True)


def heard_of(project: Project) -> Heard:
    """The log of the last 30 days."""
    since = project.clock.now() - SPAN_US
    heard = Heard(project)
    for logged in history_of(project).read(cursors_since(project.home.log, since=since)):
        heard.hear(logged, since=since)
    return heard


def history_of(project: Project) -> DecisionHistory:
    return adapters.read_log(project.home.log, system=project.system.name)


def review_queue(project: Project, *, most: int = NEXT, by: str = "") -> ReviewQueue:
    """What waits, the next `most` with their inputs; without what the reviewer `by` has looked at already.
    `Unsupported` for a system without an outcome."""
    target, plan = target_of(project), project.system.learn.review
    heard = heard_of(project)
    waiting = [
        one
        for one in wanted(plan, list(heard.made.values()), salt=f"{project.system.name}/review")
        if waits(heard, decision_raw(one.made.id), reviewers=plan.reviewers)
    ]
    shown = [one for one in waiting if by not in heard.said.get(decision_raw(one.made.id), ())][:most]
    labels: tuple[Value, ...] = tuple(target.allowed) or ((True, False) if target.type == "boolean" else ())
    return ReviewQueue(
        system=project.system.name,
        target=target.business_name or target.name,
        allowed=labels,
        reviewers=plan.reviewers,
        decisions=len(heard.made),
        waiting=len(waiting),
        causes=dict(Counter(one.why[0] for one in waiting)),
        next=tuple(to_review(project, one, by=tuple(heard.said.get(decision_raw(one.made.id), ()))) for one in shown),
        reviewed=len(heard.said),
        agreement=agreement_of(heard.said, numbers=target.type in ("number", "integer")),
        contradictions=contradictions(heard.said)[:MOST_NAMED],
    )


def waits(heard: Heard, raw: bytes, *, reviewers: int) -> bool:
    """Whether a decision is to be looked at by more people: nobody else knows what it turned out as."""
    return raw not in heard.known and len(heard.said.get(raw, ())) < reviewers


def to_review(project: Project, one: Wanted, *, by: tuple[str, ...]) -> ToReview:
    """A decision as the business speaks of it: fields by their business names, moments as moments."""
    found, row = history_of(project).find(one.made.id)
    record = unsealed(project, found)
    names = {field.name: field.business_name or field.name for field in project.contract.fields}
    inputs = row_of(record.inputs, row, types=project.types)
    return ToReview(
        id=one.made.id,
        at=rfc3339(record.at),
        why=one.why,
        inputs={names.get(name, name): value for name, value in inputs.items()},
        guards=tuple(record.guards.get(row, ())),
        by=by,
    )


def review(project: Project, id: str, *, value: object, by: str) -> Told:
    """Put on record what `by` says that the decision `id` should have been. `UserError` for a name that can't be kept,
    `NotFound` for no decision of this system."""
    name = reviewer(by)
    history_of(project).find(id)
    found = report_outcomes(project, Delivery([Reported(id=id, value=value)], []), source=REVIEWED + name)
    if found.refused:
        return found.examples[0]
    return Told(id=id, heard="recorded" if found.recorded else "corrected" if found.corrected else "known")


def reviewer(name: str) -> str:
    """The name of who looks, as it is kept."""
    kept = " ".join(name.split())
    if not kept or len(kept) > LONGEST_NAME or not kept.isprintable():
        raise UserError(
            "a review is somebody's", got=repr(name)[:80], allowed=f"a name of up to {LONGEST_NAME} signs", key="by",
            next="kring review ID --says VALUE --by NAME",
        )  # fmt: skip
    return kept


def contradictions(said: dict[bytes, dict[str, Value]]) -> tuple[Contradiction, ...]:
    """Those of which not all reviewers say the same."""
    return tuple(
        Contradiction(id=decision_id(raw), said=dict(sorted(words.items())))
        for raw, words in sorted(said.items())
        if len({(type(value), value) for value in words.values()}) > 1
    )


def agreement_of(said: dict[bytes, dict[str, Value]], *, numbers: bool) -> Measure | None:
    """How far people agree on what several of them looked at: Cohen's kappa between two, Fleiss' between more, and
    Krippendorff's alpha where they say numbers. None for too few things, or when nothing ever differs."""
    both = [words for words in said.values() if len(words) > 1]
    names = sorted({name for words in both for name in words})
    if not names:
        return None
    if numbers:
        table = [[_number(words.get(name)) for name in names] for words in both]
        return measure("krippendorff_alpha", krippendorff(np.array(table, dtype=np.float64)))
    labels = {
        label: code for code, label in enumerate(sorted({str(value) for words in both for value in words.values()}))
    }
    if len(names) == 2:
        one, other = (np.array([labels[str(words[name])] for words in both], dtype=np.intp) for name in names)
        return measure("cohen_kappa", cohen(one, other))
    counts = np.zeros((len(both), len(labels)), dtype=np.int64)
    for row, words in enumerate(both):
        for value in words.values():
            counts[row, labels[str(value)]] += 1
    return measure("fleiss_kappa", fleiss(counts))


def measure(name: str, found: Agreement | None) -> Measure | None:
    if found is None:
        return None
    return Measure(
        name=name, value=found.value, low=found.low, high=found.high, rows=found.things, groups=found.things, better=1,
        method="agreement of people beyond chance; jackknife over the decisions",
    )  # fmt: skip


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")

"""What other servers were asked and answered, put on record so that it can be watched like our own.

A request and its answer come as two events with one id, in whichever order. Until both are there the first waits in
memory, for a while; together they are decisions of the system, durable before anybody hears that they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from kring.decide.policy import DECISION, OF_LABEL, SAID
from kring.errors import NotFound, Overloaded, Refused
from kring.flow.project import Project
from kring.flow.serving.opening import hider, reader_of
from kring.flow.serving.own_logs import OwnLogs
from kring.flow.versions import verified
from kring.metrics.ids import decision_ids
from kring.metrics.targets import SPELLINGS, label_of
from kring.record.batch import Batch, Column
from kring.record.decision import Decisions, Value
from kring.record.serving import Served
from kring.record.version import Policy
from kring.serve.decider import as_lists, subjects_of
from kring.serve.reading import Reader, Rows

MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 64 << 20
WAITS_US: Final = 10 * 60_000_000
"""How long one half waits for the other."""

REMEMBERED: Final = 100_000
"""Pairs whose repetition is noticed."""

State = Literal["waiting", "recorded", "known"]
Said = Mapping[str, Sequence[object]]


class Asked(msgspec.Struct, frozen=True):
    """The rows of a request, and when it was asked (microseconds UTC)."""

    rows: Rows
    at: int


class Answered(msgspec.Struct, frozen=True):
    """The columns of an answer, of `n` rows; the one without a name is "". `at` as in `Asked`."""

    columns: Said
    n: int
    at: int


class Overheard(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the event waits for its other half, made decisions, or had done so before; and their ids."""

    heard: State
    decisions: tuple[str, ...] = ()


class Half(msgspec.Struct, frozen=True):
    value: Asked | Answered
    size: int
    until: int


class Overhearing:
    """Pairs events of one system and writes them down. May be used from any thread."""

    def __init__(self, project: Project, served: Served, *, logs: OwnLogs) -> None:
        self.project = project
        self._logs = logs
        self._served = served
        self.reader: Reader = reader_of(flagging(served), clock=project.clock, random=project.random)
        self._hide, self._let_go = hider(served, random=project.random)
        self._lock = threading.Lock()
        self._halves: OrderedDict[str, Half] = OrderedDict()
        self._held = 0
        self._done: OrderedDict[str, None] = OrderedDict()
        self._policies: dict[str, Policy] = {}

    def turn(self, served: Served) -> None:
        """From now on another version is live."""
        if served != self._served:
            self._served = served
            self.reader = reader_of(flagging(served), clock=self.project.clock, random=self.project.random)

    def answer(self, columns: Said, *, at: int, version: str) -> Answered:
        """The columns of an answer, equally long. One alone whose name `version` does not know is what it must be."""
        policy = self._policy(version or self._served.pointer.live)
        n = len(next(iter(columns.values())))
        if len(columns) == 1 and not columns.keys() & {DECISION, *output_names(policy)}:
            columns = named(next(iter(columns.values())), policy)
        return Answered(columns, n, at)

    def hear(self, id: str, half: Asked | Answered, *, size: int, version: str) -> Overheard:
        """One event, of `size` bytes. `Refused` when the two halves do not fit, `NotFound` for a version that is not
        there; `Overloaded` when too many halves wait. A half goes on waiting when the other one is refused, or could
        not be written."""
        version = version or self._served.pointer.live
        policy = self._policy(version)
        with self._lock:
            if id in self._done:
                return Overheard(heard="known")
            self._forget_late()
            other = self._halves.get(id)
            if other is None or type(other.value) is type(half):
                self._keep(id, half, size=size)
                return Overheard(heard="waiting")
            asked, answered = (other.value, half) if isinstance(other.value, Asked) else (half, other.value)
            assert isinstance(asked, Asked)
            assert isinstance(answered, Answered)
            ids = self._write(self._decided(asked, answered, version=version, policy=policy))
            self._drop(id)  # and not before: what could not be written may be told again
            self._remember(id)
        return Overheard(heard="recorded", decisions=tuple(ids))

    def close(self) -> None:
        """What waits for its other half is lost."""
        with self._lock:
            self._let_go()

    def _policy(self, version: str) -> Policy:
        if version not in self._policies:
            if version not in self._served.roots and version != self._served.pointer.live:
                raise NotFound(
                    "there is no such version", got=repr(version)[:80], allowed=", ".join(self._served.roots)[:200]
                )
            self._policies[version] = verified(self.project, version).manifest.chain.policy
        return self._policies[version]

    def _decided(self, asked: Asked, answered: Answered, *, version: str, policy: Policy) -> Decisions:
        n = len(asked.rows.values)
        if answered.n != n:
            raise Refused(
                "the answer has not the rows of the request", got=f"{answered.n:,} rows", allowed=f"{n:,} rows"
            )
        outputs = scores(answered.columns, policy)
        decided = self.project.task.decide(Batch(n, outputs), policy) if outputs else Batch(n, {})
        columns = as_lists(decided)
        if DECISION in answered.columns:
            columns[DECISION] = decisions(answered.columns[DECISION], policy)
        inputs = self._hide(self.reader.batch(asked.rows.values))
        return Decisions(
            system=self.project.system.name,
            version=version,
            answered_by=version,
            arm="live",
            kind="online",
            at=self.project.clock.now(),
            n=n,
            inputs=as_lists(inputs),
            outputs=columns,
            latency_us=max(0, answered.at - asked.at) if asked.at and answered.at else 0,
            guards={row: list(names) for row, names in asked.rows.fired.items()},
            subjects=subjects_of(inputs, self.project.system.data.subject),
        )

    def _write(self, record: Decisions) -> list[str]:
        with self._logs.of(self.project) as log:
            place = log.append(record)
            log.commit()
        return decision_ids(place, record.n)

    def _keep(self, id: str, half: Asked | Answered, *, size: int) -> None:
        self._drop(id)
        if len(self._halves) >= MOST_WAITING or self._held + size > MOST_BYTES:
            raise Overloaded(
                "too many events wait for their other half", got=f"{len(self._halves):,}",
                allowed=f"{MOST_WAITING:,}, or {MOST_BYTES >> 20} MiB", after_s=5,
                next="send requests and answers: mode all",
            )  # fmt: skip
        self._halves[id] = Half(half, size, self.project.clock.now() + WAITS_US)
        self._held += size

    def _drop(self, id: str) -> None:
        found = self._halves.pop(id, None)
        self._held -= found.size if found else 0

    def _forget_late(self) -> None:
        now = self.project.clock.now()
        while self._halves:
            id, half = next(iter(self._halves.items()))
            if half.until > now:
                return
            self._drop(id)

    def _remember(self, id: str) -> None:
        self._done[id] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)


class Ears:
    """What listens for each system, from its first event on. `published` gives what is known of all systems, `logs` is
    where events are written."""

    def __init__(self, published: Callable[[], Sequence[Served]], *, logs: OwnLogs) -> None:
        self._published = published
        self._logs = logs
        self._open: dict[str, Overhearing] = {}
        self._lock = threading.Lock()

    def of(self, project: Project) -> Overhearing:
        """For one system. `NotFound` when nothing of it was released."""
        name = project.system.name
        served = next((one for one in self._published() if one.system.name == name), None)
        if served is None:
            raise NotFound("nothing was released yet", got=name, next="kring go makes and releases a version")
        with self._lock:
            if name not in self._open:
                self._open[name] = Overhearing(project, served, logs=self._logs)
            self._open[name].turn(served)
            return self._open[name]

    def end_days(self, now: int) -> None:
        """See `OwnLogs.end_days`."""
        self._logs.end_days(now)

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
        self._logs.close()


def flagging(served: Served) -> Served:
    """What others were asked can't be refused any more: it is flagged."""
    guard = msgspec.structs.replace(served.system.guard, out_of_contract="flag")
    return msgspec.structs.replace(served, system=msgspec.structs.replace(served.system, guard=guard))


def output_names(policy: Policy) -> list[str]:
    """What the answers of a version may hold beside the decision."""
    return [*SAID[policy.output], *(f"{OF_LABEL}{label}" for label in policy.labels)]


def named(values: Sequence[object], policy: Policy) -> dict[str, list[object]]:
    """One column without a name as what it must be: whole numbers, truth and texts of a system with labels are
    decisions, fractions its score; lists are a score for each label, texts without labels its text."""
    if policy.labels and all(isinstance(one, list) and len(one) == len(policy.labels) for one in values):
        parts = {f"{OF_LABEL}{label}": [one[at] for one in values] for at, label in enumerate(policy.labels)}  # type: ignore[index]  # lists, as was just seen
        yes = [name for name, kind in SAID[policy.output].items() if kind == "number"]
        return {yes[0]: parts[f"{OF_LABEL}{policy.labels[1]}"]} if yes and len(policy.labels) == 2 else parts
    texts = [name for name, kind in SAID[policy.output].items() if kind == "string"]
    if texts and not policy.labels and all(isinstance(one, str | None) for one in values):
        return {texts[0]: list(values)}
    scores = [name for name, kind in SAID[policy.output].items() if kind == "number"]
    fractions = any(isinstance(one, float) and not one.is_integer() for one in values)
    if scores and (fractions or not policy.labels):
        return {scores[0]: list(values)}
    return {DECISION: list(values)}


def decisions(values: Sequence[object], policy: Policy) -> list[Value]:
    """Decisions in the words of the version. `Refused` for one that it does not know."""
    if not policy.labels:
        return as_lists(Batch(len(values), {DECISION: floats(DECISION, values, policy)}))[DECISION]
    spelt = {label_of(float(SPELLINGS[label])): label for label in policy.labels if label in SPELLINGS}
    known = {label: label for label in policy.labels}
    found = []
    for value in values:
        label = None if value is None else (spelt | known).get(label_of(value))
        if label is None and value is not None:
            raise Refused(
                "this is no decision of the version", got=repr(value)[:80], allowed=", ".join(policy.labels)[:200]
            )
        found.append(label)
    return list(found)


def scores(columns: Said, policy: Policy) -> dict[str, Column]:
    """The columns of an answer from which the version's decision follows, if they are there. `Refused` when nothing of
    it is known here, or only a part."""
    needed = (
        [f"{OF_LABEL}{label}" for label in policy.labels] if not SAID[policy.output] else [*SAID[policy.output]][:1]
    )
    there = [name for name in needed if name in columns]
    if not there and DECISION in columns:
        return {} if policy.labels else {needed[0]: floats(needed[0], columns[DECISION], policy)}
    if there != needed:
        raise Refused(
            "the answer has not what this system answers with",
            got=", ".join(columns)[:80] or "nothing",
            allowed=f"{', '.join(needed)}; or {DECISION}"[:200],
        )
    texts = policy.output == "answer"
    found: dict[str, Column] = {
        name: worded(columns[name]) if texts else floats(name, columns[name], policy) for name in needed
    }
    return found | (
        {"support": floats("support", columns["support"], policy)} if texts and "support" in columns else {}
    )


def floats(name: str, values: Sequence[object], policy: Policy) -> Column:
    """A column of numbers, NaN where one is missing. `Refused` for others, and for what is no probability but should
    be."""
    share = policy.output in ("probability", "probabilities")
    for one in values:
        is_number = isinstance(one, int | float) and not isinstance(one, bool)
        if one is not None and not (is_number and (not share or 0 <= one <= 1)):  # type: ignore[operator]  # a number
            raise Refused(
                f"this is no {name}", got=repr(one)[:80], allowed="a number from 0 to 1" if share else "a number"
            )
    return np.array([np.nan if one is None else one for one in values], dtype=np.float64)


def worded(values: Sequence[object]) -> list[Value]:
    """A column of texts. `Refused` for anything else."""
    wrong = next((one for one in values if not isinstance(one, str | None)), None)
    if wrong is not None:
        raise Refused("this is no text of an answer", got=repr(wrong)[:80], allowed="a text")
    return [one for one in values if isinstance(one, str | None)]

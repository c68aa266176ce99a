"""Fixed questions → the live version → on record, and whether it says what it said before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from kring.contracts.rows_guard import row_reader
from kring.errors import ConfigError, DataError, NotFound
from kring.flow import history
from kring.flow.asking import opened_as_far, question_field, row_of
from kring.flow.deciding import frame_reader
from kring.flow.project import Project
from kring.flow.scoring.score import live_pointer, open_log
from kring.flow.versions import require_same_reading
from kring.metrics.prices import spent
from kring.metrics.ranking import Floats
from kring.record.batch import Batch
from kring.record.decision import Decisions, Value
from kring.record.operator import Watched
from kring.record.probe import Probe, Probed
from kring.record.version import Policy
from kring.serve.decider import as_lists
from kring.serve.fallback import Answerer, ask
from kring.watch.probes import EXACT, LIKE, STEADY, agreed, judge_probes

REPEATS: Final = 3
MOST_PROBES: Final = 1_000
MOST_BYTES: Final = 8 << 20
KNOWN: Final = ("id", "inputs", "question", "paraphrases")
Answers = Answerer[pl.DataFrame]


class Pair(NamedTuple):
    """Answers that ought to be the same, of which probes, and how far they may lie apart."""

    left: Floats
    right: Floats
    names: list[str]
    apart: float


class Put(NamedTuple):
    """Rows to ask, and of each the place of its probe."""

    batch: Batch
    probe: tuple[int, ...]
    first: tuple[int, ...]


def run_probes(project: Project, *, repeats: int = REPEATS) -> tuple[Probed, Watched]:
    """Put every probe of `watch.probes` to the live version `repeats` times; the answers are in the log as a shadow's,
    the run on the ledger.

    `ConfigError` without probes in `kring.toml`, `DataError` for a file that holds none or a wrong one, `NotFound`
    without a live version.
    """
    probes, digest = read_probes(project)
    pointer = live_pointer(project)
    opened = opened_as_far(project, pointer.live)
    require_same_reading(project, opened.loaded)
    put = rows_put(project, probes)
    try:
        said = [_asked(project, opened.answerer, put) for _ in range(repeats)]
    finally:
        opened.answerer.runtime.close()
        opened.baseline.runtime.close()
    with project.working(), open_log(project) as log:
        for record in said:
            log.append(record)
        log.commit()
    with project.ledger() as ledger:
        earlier = [
            one for one in history.all_of(ledger, Probed) if one.digest == digest and one.version == pointer.live
        ]
        run = compared(project, opened.answerer.policy, probes, put, said, first=earlier[0] if earlier else None)
        run = msgspec.structs.replace(run, digest=digest)
        ledger.append([history.entry(run, id=run.id, actor=project.actor, at=run.at)])
    breaches, keys = judge_probes(run)
    return run, Watched(start=run.at, end=run.at, breaches=tuple(breaches), looked=tuple(keys))


def probes_due(project: Project, *, now: int) -> bool:
    """Whether the probes were last put longer ago than `watch.probes.every`, or never to this version."""
    plan = project.system.watch.probes
    if plan is None or not project.home.ledger.exists():
        return False
    try:
        live = live_pointer(project).live
    except NotFound:
        return False
    with project.ledger() as ledger:
        runs = [one.at for one in history.all_of(ledger, Probed) if one.version == live]
    return not runs or now - max(runs) >= plan.every_us


def read_probes(project: Project) -> tuple[list[Probe], str]:
    """The probes, and the SHA-256 of their file."""
    plan = project.system.watch.probes
    if plan is None:
        raise ConfigError(
            "no probes are declared",
            allowed='[watch.probes] with a file, one JSON object a line: {"inputs": {…}, "paraphrases": [{…}]}',
            key="watch.probes",
        )
    data = project.files.read(project.folder / plan.file)
    if len(data) > MOST_BYTES:
        raise DataError("this is too large for probes", got=f"{len(data):,} bytes", allowed="8 MiB", file=plan.file)
    probes = list(_probes(project, data, file=plan.file))
    names = [one.id for one in probes]
    twice = [name for name in names if names.count(name) > 1]
    if not probes or twice or len(probes) > MOST_PROBES:
        raise DataError(
            "two probes have one id" if twice else "a file of probes holds none" if not probes else "too many probes",
            got=repr(twice[0]) if twice else f"{len(probes):,}",
            allowed=f"1 to {MOST_PROBES:,} probes, each with an id of its own",
            file=plan.file,
        )
    return probes, hashlib.sha256(data).hexdigest()


def rows_put(project: Project, probes: list[Probe]) -> Put:
    """All rows of all probes, in the contract's types. `DataError` for a row that breaks the contract."""
    fields = [one.name for one in project.contract.fields if one.name not in project.known_later]
    keys = {one.name for one in project.contract.fields if one.identifier or one.primary_key}
    look = row_reader(project.contract, fields=[name for name in fields if name not in keys])
    rows: list[dict[str, Value]] = []
    probe, first = [], []
    for place, one in enumerate(probes):
        first.append(len(rows))
        for row in one.rows:
            values, broken = look(row)
            if broken:
                raise DataError(
                    f"the probe {one.id} breaks the contract",
                    got=", ".join(broken),
                    allowed="what the contract promises",
                )
            rows.append(values | {name: row.get(name) for name in keys})
            probe.append(place)
    columns = {name: [row.get(name) for row in rows] for name in fields}
    return Put(Batch(len(rows), {**columns}), tuple(probe), tuple(first))


def compared(
    project: Project, policy: Policy, probes: list[Probe], put: Put, said: list[Decisions], *, first: Probed | None
) -> Probed:
    """The run over `said`, one record for each repetition."""
    task = project.task
    outputs = [task.outputs(Batch(each.n, {**each.outputs}), policy) for each in said]
    names = [probes[place].id for place in put.probe]
    heads = list(put.first)
    then = Batch(len(first.probes), {**first.answers}) if first else None
    repeated, paraphrased, changed = (
        agreed(task, policy, pair.left, pair.right, names=pair.names, apart=pair.apart)
        for pair in (
            _repeated(outputs, names),
            _paraphrased(outputs[0], put, names, apart=np.inf if policy.threshold or policy.labels else LIKE),
            Pair(
                task.outputs(then, policy) if then else outputs[0][:0],
                outputs[0][heads] if then else outputs[0][:0],
                [one.id for one in probes] if then else [],
                STEADY,
            ),
        )
    )
    return Probed(
        id=project.new_id("pr"),
        system=project.system.name,
        version=said[0].version,
        digest="",
        at=said[0].at,
        probes=tuple(one.id for one in probes),
        repeats=len(said),
        rows=len(names),
        failures=int((~task.answered(outputs[0])).sum()),
        answers={name: [column[place] for place in heads] for name, column in said[0].outputs.items()},
        repeated=repeated,
        paraphrased=paraphrased,
        changed=changed,
        against=first.id if first else "",
    )


def _repeated(outputs: list[Floats], names: list[str]) -> Pair:
    """The first answers beside each later repetition of them."""
    again = len(outputs) - 1
    return Pair(
        np.concatenate([outputs[0]] * again) if again else outputs[0][:0],
        np.concatenate(outputs[1:]) if again else outputs[0][:0],
        names * again,
        EXACT,
    )


def _paraphrased(said: Floats, put: Put, names: list[str], *, apart: float) -> Pair:
    """The answers to first rows beside those to the others of the same probe."""
    others = [place for place in range(len(names)) if place not in put.first]
    firsts = [put.first[put.probe[place]] for place in others]
    return Pair(said[firsts], said[others], [names[place] for place in others], apart)


def _asked(project: Project, answerer: Answers, put: Put) -> Decisions:
    """One repetition, as a shadow of nobody."""
    began, price = project.clock.monotonic(), answerer.price
    said = ask(answerer, frame_reader(project)(put.batch), n=put.batch.n)
    latency_us = int((project.clock.monotonic() - began) * 1e6)
    return Decisions(
        system=project.system.name,
        version=answerer.version,
        answered_by=answerer.version if said.outputs.columns else "default",
        arm="shadow",
        kind="shadow",
        at=project.clock.now(),
        n=put.batch.n,
        inputs=as_lists(put.batch),
        outputs=as_lists(said.outputs),
        latency_us=latency_us,
        cost=spent(answers=put.batch.n - len(said.missing), answered=price, seconds=latency_us / 1e6, asked=price),
        fallback=said.reason,
        guards=dict(said.guards),
    )


def _probes(project: Project, data: bytes, *, file: str) -> Iterator[Probe]:
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        if line.strip():
            yield _probe(project, line, number=number, file=file)


def _probe(project: Project, line: str, *, number: int, file: str) -> Probe:
    """One line: `inputs` of the contract, or a `question`, and the same again in other words."""
    try:
        found = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise _wrong(str(error), number=number, file=file) from error
    if set(found) - set(KNOWN) or ("inputs" in found) == ("question" in found):
        raise _wrong(", ".join(found) or "nothing", number=number, file=file)
    others = found.get("paraphrases", [])
    wanted = [found.get("inputs", found.get("question")), *(others if isinstance(others, list) else [others])]
    rows = [_row(project, one, question="question" in found, number=number, file=file) for one in wanted]
    return Probe(id=str(found.get("id", number)), rows=tuple(rows))


def _row(project: Project, one: object, *, question: bool, number: int, file: str) -> dict[str, Value]:
    if question and isinstance(one, str) and one.strip():
        return row_of(project, question_field(project), one)
    known = {field.name for field in project.contract.fields} - project.known_later
    if question or not isinstance(one, dict) or set(one) - known:
        raise _wrong(repr(one)[:200], number=number, file=file)
    return {str(name): value for name, value in one.items()}


def _wrong(got: str, *, number: int, file: str) -> DataError:
    return DataError(
        "this line is no probe",
        got=got,
        allowed='{"inputs": {field: value}, "paraphrases": [{field: value}]}, or a "question" and "paraphrases" in '
        'words; and an "id"',
        file=file,
        line=number,
    )

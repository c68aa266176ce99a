"""version → an answerer that replay, scoring and evidence share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import polars as pl

from kring.decide.guard import frame_guard
from kring.decide.prepare import prepare_frame
from kring.errors import IntegrityError
from kring.flow.project import Project
from kring.ports.clock import Clock
from kring.record.batch import Batch
from kring.record.contract import LogicalType
from kring.record.prepare import Prepared
from kring.record.rollout import Pointer
from kring.record.version import Chain
from kring.release.load import Loaded, open_version
from kring.runtimes.chain import open_chain
from kring.serve.decider import Decider
from kring.serve.fallback import Answerer

DTYPES: dict[LogicalType, pl.DataType] = {
    "string": pl.String(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
}


@dataclass(frozen=True)
class Opened:
    """A version that was verified and opened: its own chain and its baseline's."""

    id: str
    loaded: Loaded
    answerer: Answerer[pl.DataFrame]
    baseline: Answerer[pl.DataFrame]


def open_answerers(project: Project, version: str) -> Opened:
    """Verify the version's bytes and open both of its chains on exactly those bytes."""
    public = project.files.read(project.home.public_key)
    loaded = open_version(project.home.versions / version, public_pem=public)
    manifest = loaded.manifest
    return Opened(
        id=version,
        loaded=loaded,
        answerer=answerer_of(project, version, manifest.chain, loaded.files),
        baseline=answerer_of(project, f"{version}/baseline", manifest.baseline, loaded.files),
    )


def answerer_of(project: Project, name: str, chain: Chain, files: Mapping[str, bytes]) -> Answerer[pl.DataFrame]:
    """One chain as an answerer of frames."""
    first = chain.links[0]
    try:
        prepared = msgspec.json.decode(files[first.file], type=Prepared)
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"{first.file} of {name} is not a prepare link", got=str(error)) from error
    types = project.types

    def prepare(frame: pl.DataFrame) -> Batch:
        return prepare_frame(prepared, frame, types=types)

    return Answerer(
        version=name,
        prepare=prepare,
        runtime=open_chain(chain, files),
        policy=chain.policy,
        decide=project.task.decide,
    )


def open_decider(
    project: Project, pointer: Pointer, opened: Mapping[str, Opened], *, clock: Clock
) -> Decider[pl.DataFrame]:
    """The decider for one pointer, over versions that are open already."""
    known = [field.name for field in project.contract.fields if field.name not in project.known_later]
    system = project.system
    return Decider(
        system=system.name,
        pointer=pointer,
        versions={id: one.answerer for id, one in opened.items()},
        baseline=opened[pointer.live].baseline,
        read=frame_reader(project),
        guard=frame_guard(project.contract, fields=known),
        out_of_contract=system.guard.out_of_contract,
        default=system.frame.default,
        subject=system.data.subject,
        monotonic=clock.monotonic,
    )


def frame_reader(project: Project) -> Callable[[Batch], pl.DataFrame]:
    """Raw columns (times in microseconds) as a frame with the contract's types."""
    schema = {
        field.name: pl.Int64() if field.type == "timestamp" else DTYPES[field.type]
        for field in project.contract.fields
        if field.name not in project.known_later
    }
    times = [pl.col(name).cast(DTYPES["timestamp"]) for name, type in project.types.items() if type == "timestamp"]
    times = [cast for cast in times if cast.meta.root_names()[0] in schema]

    def read(batch: Batch) -> pl.DataFrame:
        return pl.DataFrame(dict(batch.columns), schema=schema).with_columns(times)

    return read

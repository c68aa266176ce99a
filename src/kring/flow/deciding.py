"""version → an answerer that replay, scoring and evidence share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from kring.contracts.to_polars import DTYPES
from kring.decide.guard import frame_guard, frame_imputer
from kring.decide.outliers import scorer_of
from kring.decide.policy import judge_of
from kring.decide.policy_frames import frame_masks
from kring.decide.prepare import frame_preparer
from kring.errors import IntegrityError
from kring.flow import adapters
from kring.flow.project import Project
from kring.flow.versions import verified
from kring.ports.clock import Clock
from kring.record.batch import Batch
from kring.record.contract import LogicalType
from kring.record.prepare import Prepared
from kring.record.rollout import Pointer
from kring.record.version import Chain
from kring.release.signed import Loaded
from kring.runtimes.chain import open_chain
from kring.serve.decider import Decider
from kring.serve.fallback import Answerer

PHYSICAL: Final[dict[LogicalType, pl.DataType]] = {"timestamp": pl.Int64(), "date": pl.Int32()}
"""How raw batches hold times: microseconds and days since 1970."""


@dataclass(frozen=True)
class Opened:
    """A version that was verified and opened: its own chain and its baseline's."""

    id: str
    loaded: Loaded
    answerer: Answerer[pl.DataFrame]
    baseline: Answerer[pl.DataFrame]


def open_answerers(project: Project, version: str) -> Opened:
    """Verify the version's bytes and open both of its chains on exactly those bytes."""
    loaded = verified(project, version)
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
    kinds = {column.name: column.kind for column in prepared.columns}
    return Answerer(
        version=name,
        prepare=frame_preparer(prepared, types=project.types),
        runtime=open_chain(chain, files, open_index=adapters.open_index),
        policy=chain.policy,
        decide=project.task.decide,
        judge=judge_of(
            chain.policy,
            frame_masks(chain.policy, types=project.types, kinds=kinds),
            scorer_of(chain.policy, files, preparer=lambda whole: frame_preparer(whole, types=project.types)),
        ),
        price=chain.price,
    )


def open_decider(
    project: Project, pointer: Pointer, opened: Mapping[str, Opened], *, clock: Clock
) -> Decider[pl.DataFrame]:
    """The decider for one pointer, over versions that are open already."""
    known = [
        field.name
        for field in project.contract.fields
        if field.name not in project.known_later and not field.identifier
    ]
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
        impute=frame_imputer(project.contract),
    )


def frame_reader(project: Project) -> Callable[[Batch], pl.DataFrame]:
    """Raw columns (times in microseconds, dates in days) as a frame with the contract's types."""
    fields = [field for field in project.contract.fields if field.name not in project.known_later]
    schema = {field.name: PHYSICAL.get(field.type, DTYPES[field.type]) for field in fields}
    times = [pl.col(field.name).cast(DTYPES[field.type]) for field in fields if field.type in PHYSICAL]

    def read(batch: Batch) -> pl.DataFrame:
        columns = {name: column for name, column in batch.columns.items() if name in schema}
        series = all(isinstance(column, pl.Series) for column in columns.values())
        frame = pl.DataFrame(columns) if series else pl.DataFrame(columns, schema=schema)
        return frame.with_columns(times)

    return read

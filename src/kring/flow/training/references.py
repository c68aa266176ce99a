"""What a version's inputs look like when it is made: what their drift is measured against later."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import numpy as np
import polars as pl

from kring.data.profile import private
from kring.experiment.evidence import groups_of
from kring.experiment.split import micros
from kring.flow.project import Project
from kring.metrics.drift import Ints
from kring.record.batch import Column
from kring.record.drift import References
from kring.watch.binning import KINDS, reference_of
from kring.watch.drift import classes_of

MOST_ROWS: Final = 500_000
"""So many rows, evenly spread, say what is usual: the standard error of a share is then below 0.1 points."""


def input_references(project: Project, learned: pl.DataFrame) -> References:
    """References of the fields that are known when a decision is made, from the rows to learn from. Fields that are
    personal or identify somebody are named and not looked at; moments always move and are left out.

    Rows of one group, one subject or one day belong together.
    """
    some = learned.gather_every(max(1, -(-learned.height // MOST_ROWS)))
    known = [one for one in project.contract.fields if one.name not in project.known_later and one.type in KINDS]
    watch, data = project.system.watch, project.system.data
    season = watch.season if data.time else ""
    times = micros(some, data.time).fill_null(0).to_numpy() if season else np.zeros(0, dtype=np.int64)
    classes, groups = classes_of(times, season=season, width=watch.window_us), belonging(project, some)
    inputs = tuple(
        reference_of(one.name, column_of(some[one.name]), kind=KINDS[one.type], classes=classes, groups=groups)
        for one in known
        if not private(one)
    )
    return References(
        inputs=inputs,
        withheld=tuple(one.name for one in known if private(one)),
        season=season,
        window_us=watch.window_us if season else 0,
    )


def belonging(project: Project, frame: pl.DataFrame) -> list[Ints]:
    """For each way in which rows can belong together, the group of each row, (n,)."""
    data = project.system.data
    found = [groups_of(frame, group=name) for name in sorted({data.group, data.subject} - {""})]
    found.append(groups_of(frame, time=data.time))
    return [groups for groups, by in found if by != "row"]


def read_only(references: References, fields: Collection[str]) -> References:
    """The references of some of the inputs: those that a version reads."""
    return References(
        inputs=tuple(one for one in references.inputs if one.feature in fields),
        outputs=references.outputs,
        withheld=tuple(name for name in references.withheld if name in fields),
        season=references.season,
        window_us=references.window_us,
    )


def column_of(series: pl.Series) -> Column:
    """A column of a frame as references are made of it: numbers as an array, with NaN for missing, others as a list."""
    plain: Callable[[], Column] = series.to_numpy if series.dtype.is_numeric() else series.to_list
    return plain()

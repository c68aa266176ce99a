"""What a version says to the held-out rows: what the drift of its answers is measured against later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kring.decide.outliers import scorer_of
from kring.decide.policy import DECISION, REASON, judge_of, row_masks
from kring.decide.prepare_rows import row_preparer
from kring.flow.project import Project
from kring.flow.training.build import Built
from kring.flow.training.material import Material
from kring.record.batch import Batch
from kring.record.drift import FeatureKind, Reference
from kring.watch.binning import reference_of

SUPPORT: Final = "support"
UNCOUNTED: Final = frozenset({REASON})
"""Outputs that not every answer has."""


def output_references(
    project: Project, material: Material, built: Built, companions: Mapping[str, bytes]
) -> tuple[Reference, ...]:
    """References of what the chain and its policy say to the held-out rows; of a score, what lies in it as a column. A
    decision that is the output itself is looked at once."""
    policy, types = material.policy, project.types
    name = policy.output if policy.output != "answer" else SUPPORT
    said = built.outputs if policy.output != "answer" else built.outputs[:, 0]
    outputs = Batch(len(said), {name: said})
    if policy.output != "answer":
        kinds = {column.name: column.kind for column in material.prepared.columns}
        judge = judge_of(
            policy,
            row_masks(policy, types=types, kinds=kinds),
            scorer_of(policy, {**built.files, **companions}, preparer=lambda whole: row_preparer(whole, types=types)),
        )
        outputs = judge(material.test_raw, material.test_batch, project.task.decide(outputs, policy)).outputs
    groups = [material.groups] if material.group_by != "row" else []
    columns = {name: np.asarray(column) for name, column in outputs.columns.items() if name not in UNCOUNTED}
    if np.array_equal(columns.get(DECISION, np.zeros(0)), columns.get(name, np.zeros(1))):
        del columns[name]
    kinds_of = {name: kind_of(column) for name, column in columns.items()}
    return tuple(
        reference_of(name, columns[name], kind=kind, groups=groups)
        for name, kind in sorted(kinds_of.items())
        if kind is not None
    )


def kind_of(column: NDArray[np.generic]) -> FeatureKind | None:
    """How an output is counted; None for one that holds more than one value in a row, or values of several kinds."""
    if column.ndim != 1:
        return None
    if column.dtype.kind in "iuf":
        return "number"
    texts = column.dtype.kind in "bU" or all(value is None or isinstance(value, (str, bool)) for value in column)
    return "category" if texts else None

"""One row explained by the answers of the chain that decided it. Imports nothing heavy: a data worker may call it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kring.errors import Refused
from kring.explain.shap import Answer, Effects, shapley
from kring.explain.words import Named, reasons_of
from kring.metrics.answers import numbers_of
from kring.ports.runtime import Runtime
from kring.record.background import Background
from kring.record.batch import Batch, Column
from kring.record.decision import Value
from kring.record.explanation import Contribution, Explanation
from kring.record.version import Policy

Rows_contra = TypeVar("Rows_contra", contravariant=True)
Rows = TypeVar("Rows")
Explainer = Callable[[Answer, Batch, Batch, int], tuple[Effects, float | None]]
"""(answer, one prepared row, background, seed) → effects, and the fit of what gave them if it only comes near."""


class Chain(Protocol[Rows_contra]):
    """What `kring.serve.fallback.Answerer` is: a version's name, its policy, and its way from raw rows to outputs."""

    @property
    def version(self) -> str: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def prepare(self) -> Callable[[Rows_contra], Batch]: ...
    @property
    def runtime(self) -> Runtime: ...


class Asked(NamedTuple):
    """Which decision of which system is to be explained, and what was decided; `columns` are the chain's in words."""

    id: str
    system: str
    decision: Value
    columns: dict[str, Named]


def by_shapley(answer: Answer, row: Batch, background: Batch, seed: int) -> tuple[Effects, float | None]:
    """The explainer that needs no package."""
    return shapley(answer, row, background, seed=seed), None


def explain_row(
    chain: Chain[Rows], background: Background, row: Rows, *, asked: Asked, explainer: Explainer = by_shapley
) -> Explanation:
    """Why `chain` gave its answer to `row`, one row as the chain takes it: raw fields, in a batch or a frame.

    The same decision is explained by the same draws. `Refused` when the chain has no answer to the row.
    """
    prepared = chain.prepare(row)
    read = {name: column for name, column in prepared.columns.items() if name in columns_of(background)}
    outputs = chain.runtime.answer(prepared)
    meant, pick = _meant(chain.policy, outputs, asked.decision)
    value = float(pick(outputs)[0])
    if np.isnan(value):
        raise Refused(f"{chain.version} has no answer to this row", next="what can't be answered can't be explained")
    idle = {name: column for name, column in prepared.columns.items() if name not in read}

    def answer(rows: Batch) -> NDArray[np.float64]:
        more: dict[str, Column] = {name: np.repeat(np.asarray(column), rows.n) for name, column in idle.items()}
        return pick(chain.runtime.answer(Batch(rows.n, {**rows.columns, **more})))

    effects, fit = explainer(answer, Batch(1, read), as_batch(background, read), seed_of(asked.id))
    contributions = contributions_of(effects, read, asked.columns)
    personal = {name for name, one in asked.columns.items() if one.personal}
    return Explanation(
        decision=asked.id,
        system=asked.system,
        version=chain.version.partition("/")[0],
        answered_by=chain.version,
        method="shap" if fit is None else "lime",
        output=meant,
        value=effects.value,
        base=effects.base,
        contributions=contributions,
        reasons=reasons_of(contributions, output=meant, personal=personal),
        exact=effects.exact,
        background=effects.background,
        asked=effects.asked,
        fit=fit,
        held=tuple(name for name in columns_of(background) if name not in effects.names),
    )


def contributions_of(
    effects: Effects, row: Mapping[str, Column], columns: Mapping[str, Named]
) -> tuple[Contribution, ...]:
    """The effects with the row's values and the columns' words, the strongest first."""
    found = (
        Contribution(
            column=name,
            words=columns[name].words,
            value=None if columns[name].personal else _plain(row[name]),
            effect=float(effect),
            error=float(error),
            fields=columns[name].fields,
        )
        for name, effect, error in zip(effects.names, effects.effects, effects.errors, strict=True)
    )
    return tuple(sorted(found, key=lambda one: (-abs(one.effect), one.column)))


def columns_of(background: Background) -> list[str]:
    """The columns that the chain reads: those that are kept, then those that are withheld."""
    return [*background.columns, *background.withheld]


def as_batch(background: Background, like: dict[str, Column]) -> Batch:
    """The background as arrays of the kinds that prepared columns have."""
    columns: dict[str, Column] = {
        name: np.array([np.nan if value is None else value for value in values], dtype=np.asarray(like[name]).dtype)
        for name, values in background.columns.items()
        if name in like
    }
    return Batch(background.n, columns)


def seed_of(id: str) -> int:
    """The seed of a decision: 64 bits of the SHA-256 of its id."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big")


def _meant(policy: Policy, outputs: Batch, decision: Value) -> tuple[str, Callable[[Batch], NDArray[np.float64]]]:
    """What is explained, in words, and how it is read from outputs: for several labels the probability of the one that
    was decided, or of the most probable one."""
    if policy.output == "probabilities":
        said = np.asarray(outputs.columns["probabilities"], dtype=np.float64)[0]
        place = policy.labels.index(str(decision)) if decision in policy.labels else int(np.argmax(np.nan_to_num(said)))
        return f"the probability of {policy.labels[place]}", lambda given: np.asarray(
            given.columns["probabilities"], dtype=np.float64
        )[:, place]
    words = f"the probability of {policy.labels[-1]}" if policy.labels else f"the {policy.output}"
    return words, lambda given: numbers_of(given, policy.output)


def _plain(column: Column) -> Value:
    value = np.asarray(column)[0]
    if isinstance(value, np.floating):
        return None if np.isnan(value) else float(f"{value:.7g}")  # float32 holds no more digits than these
    return str(value)

"""The tables of `behaviours.toml` as they are written: the one place that knows its keys."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from kring.frame.kinds import Scalar, Text

SAMPLE: Final = 100

Inputs = dict[Text, Scalar]
Rows = Annotated[tuple[Inputs, ...], Meta(description="Rows to try it on, each the fields that matter")]
Size = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1, le=10_000)]
Sample = Annotated[Count | UnsetType, Meta(description=f"Held-out rows to try it on; {SAMPLE} without `rows`")]
Named = Annotated[Text, Meta(description="What is tested, in words; no two tests share a name")]
Labelled = Annotated[Text, Meta(description="Whose probability is meant, where there are more than two labels")]


class ExampleTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input whose answer is known: a decision, or an output of at least `above` and at most `below`."""

    name: Named
    inputs: Annotated[Inputs, Meta(description="Raw fields; those left out come from `[inputs]`, else are missing")]
    decision: Annotated[Scalar | UnsetType, Meta(description="The decision that is right")] = UNSET
    above: Annotated[float | UnsetType, Meta(description="The output is at least this")] = UNSET
    below: Annotated[float | UnsetType, Meta(description="The output is at most this")] = UNSET
    label: Labelled = ""


class InvarianceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Setting one field to other values must not change the decision."""

    name: Named
    change: Annotated[Text, Meta(description="The field that must not matter")]
    to: Annotated[
        tuple[Scalar, ...], Meta(min_length=1, description="The values it is set to"), Meta(extra={"unique": True})
    ]
    tolerance: Annotated[
        Size | UnsetType, Meta(description="How far the output may move; left out, the decision must not change")
    ] = UNSET
    rows: Rows = ()
    sample: Sample = UNSET


class DirectionTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raising one field must not move the output the wrong way."""

    name: Named
    change: Annotated[Text, Meta(description="The number that is raised")]
    by: Annotated[float, Meta(description="By how much; below zero it is lowered")]
    output: Annotated[Literal["not lower", "not higher"], Meta(description="How the output may not answer")]
    slack: Annotated[float, Meta(ge=0, description="How far it may still move the wrong way")] = 1e-6
    label: Labelled = ""
    rows: Rows = ()
    sample: Sample = UNSET


class BehavioursFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`behaviours.toml`: the unit tests of predictions."""

    inputs: Annotated[Inputs, Meta(description="Fields that a test's own rows leave out")] = {}
    example: tuple[ExampleTable, ...] = ()
    invariance: tuple[InvarianceTable, ...] = ()
    direction: tuple[DirectionTable, ...] = ()

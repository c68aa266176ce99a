"""Fixed questions that are asked again and again, and what was said to them."""

from __future__ import annotations

import msgspec

from kring.record.decision import Value


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One question: rows of the contract that all say the same, the first of them as it is put first."""

    id: str
    rows: tuple[dict[str, Value], ...]


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """Of `pairs` of answers that ought to be the same, `same` were; `examples` are probes of which some were not."""

    pairs: int
    same: int
    examples: tuple[str, ...] = ()


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """One run over all probes, put to the live `version` at `at` (microseconds UTC), each row `repeats` times.

    `answers` are the columns of what was said first to each of the `probes`, in their order; `failures` how many rows
    got no answer. `changed` compares with the answers of the run `against`: the first one that was put to the same
    version with the same questions (`digest`), empty for that one.
    """

    id: str
    system: str
    version: str
    digest: str
    at: int
    probes: tuple[str, ...]
    repeats: int
    rows: int
    failures: int
    answers: dict[str, list[Value]]
    repeated: Agreed
    paraphrased: Agreed
    changed: Agreed
    against: str = ""

"""Why one decision came out as it did."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.decision import Value

Method = Literal["shap", "lime"]
Way = Literal["shap", "lime", "citations", "none"]
"""How it was explained: by a method, by what was cited, or not at all, because no model answered."""


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one prepared column did to the output, in the output's unit. `words` are the business's, `fields` the raw
    fields it reads, `error` the standard error of `effect`. The value of a personal column is not kept."""

    column: str
    words: str
    value: Value
    effect: float
    error: float = 0.0
    fields: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`output` of `decision`, which `answered_by` gave, is `value`; `base` is its mean over `background` rows that
    were learned from. Of `shap` the effects add up to `value - base`; of `lime` they are those of a linear model that
    fits the answers round the row with the share `fit` of their variance.

    `reasons` say the strongest effects in words, the largest first. `held` are columns that were kept as they are in
    the row, because nothing may or can be put in their place. `asked` is how many rows the version answered for it.
    """

    decision: str
    system: str
    version: str
    answered_by: str
    method: Way
    output: str = ""
    value: float | None = None
    base: float | None = None
    contributions: tuple[Contribution, ...] = ()
    reasons: tuple[str, ...] = ()
    exact: bool = False
    background: int = 0
    asked: int = 0
    fit: float | None = None
    held: tuple[str, ...] = ()

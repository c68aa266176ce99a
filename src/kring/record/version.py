"""A system version: everything that decides, pinned."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.contract import Scalar

LinkKind = Literal["prepare", "rule", "onnx", "retrieval", "canned"]
Output = Literal["probability", "value", "probabilities", "answer"]
"""What the last link of a chain gives: the probability of yes, a value, a probability for each label, an answer."""

Outliers = Literal["off", "flag", "review"]
"""What becomes of a row that is unlike those that were learned from: nothing, a flag, a person's decision."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chain. `file` lies in the version folder; `digest` is its SHA-256.

    A `rule` carries its `expression`; every other link but `prepare` names its input columns in order.
    """

    kind: LinkKind
    file: str = ""
    digest: str = ""
    expression: str = ""
    inputs: tuple[str, ...] = ()


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A business rule: where the expression `when` is true, `decision` is taken, and `reason` says why in words."""

    when: str
    decision: Scalar
    reason: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How an output becomes a decision: `threshold` on a probability, or none for a plain value.

    The first of `rules` that fires decides instead; where none does, the expression `abstain` hands the row to a
    person, and so does `outliers = "review"` with a row that is unlike those that the version learned from.
    """

    output: Output
    threshold: float | None = None
    labels: tuple[str, ...] = ()
    cost: dict[str, float] = {}
    currency: str = ""
    rules: tuple[Ruling, ...] = ()
    abstain: str = ""
    outliers: Outliers = "off"


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Links in the order in which they run, and the policy at their end."""

    candidate: str
    links: tuple[Link, ...]
    policy: Policy


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json` of a version folder. It holds no time, host or path, so that equal
    content has an equal id. `recipe_digest` is the SHA-256 of `clean.toml`, empty without one."""

    format: int
    system: str
    task: str
    chain: Chain
    baseline: Chain
    contract: str
    contract_digest: str
    config_digest: str
    snapshot: str
    snapshot_digest: str
    run: str
    baseline_run: str
    evidence: str
    verdict: str
    commit: str
    owner: str
    accountable: str
    environment: dict[str, str]
    recipe_digest: str = ""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version. `id` comes from `root`, the signed digest over all files.

    `dominated_by` names candidates that were worse in nothing and clearly better in something when it was
    chosen, and `because` says why it was chosen all the same.
    """

    id: str
    system: str
    candidate: str
    root: str
    key: str
    run: str
    baseline_run: str
    evidence: str
    verdict: str
    snapshot: str
    size: int
    at: int
    dominated_by: tuple[str, ...] = ()
    because: str = ""

"""A system version: everything that decides, pinned."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kring.record.contract import Scalar

LinkKind = Literal["prepare", "rule", "onnx", "retrieval", "canned", "code"]
Output = Literal["probability", "value", "probabilities", "answer"]
"""What the last link of a chain gives: the probability of yes, a value, a probability for each label, an answer."""

Outliers = Literal["off", "flag", "review"]
"""What becomes of a row that is unlike those that were learned from: nothing, a flag, a person's decision."""


CODE_FOLDER: Final = "links/code/"
"""Where the files of a code link lie in a version, by the paths that they have in the system's folder."""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """How a `code` link is run: `function` of its file, which finds its other `files` (by path, with their SHA-256),
    within `memory_mb` MiB and `timeout_us` for one question."""

    function: str
    files: dict[str, str] = {}
    memory_mb: int = 512
    timeout_us: int = 1_000_000


NUMBERS: Final = "kring_numbers"
"""The input of a graph that stands for all columns of numbers, (n, k), and the entry of its metadata that names them
in their order, a line each."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chain. `file` lies in the version folder; `digest` is its SHA-256.

    A `rule` carries its `expression`; every other link but `prepare` names its input columns in order.
    """

    kind: LinkKind
    file: str = ""
    digest: str = ""
    expression: str = ""
    inputs: tuple[str, ...] = ()
    code: Code | None = None

    @property
    def files(self) -> dict[str, str]:
        """Every file of the link by its path in the version, with its digest."""
        return ({self.file: self.digest} if self.file else {}) | (self.code.files if self.code else {})


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


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What it costs to answer, in the system's currency: each `decision`, and each `second` that it takes."""

    decision: float = 0.0
    second: float = 0.0


class Chain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Links in the order in which they run, the policy at their end, and what it costs to answer, if anything."""

    candidate: str
    links: tuple[Link, ...]
    policy: Policy
    price: Price | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json` of a version folder. It holds no time, host or path, so that equal
    content has an equal id. `recipe_digest` is the SHA-256 of `clean.toml`, empty without one;
    `companions` are those of the files beside the chains."""

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
    companions: dict[str, str] = {}


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

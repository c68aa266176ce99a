"""`kring.toml` as a record: one AI use case with an owner. Durations are microseconds here."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.access import AccessPolicy
from kring.record.contract import Scalar
from kring.record.prepare import LookupSpec
from kring.record.running import Drills, Flag, Learn, Notify, RolloutPlan, Slo, Trial, Watch
from kring.record.verdict import GateLine
from kring.record.version import Outliers, Price, Ruling

Stage = Literal["frame", "data", "experiment", "release", "operate"]


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers for a stage, and who does the work."""

    accountable: str
    responsible: str = ""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Why the system exists. `cost` is the price of each kind of mistake in `currency`,
    `default` the answer when nothing else can answer, `open` the questions that nobody has answered yet."""

    decision: str
    good_enough: str = ""
    cost: dict[str, float] = {}
    currency: str = ""
    default: Scalar = None
    feedback: Literal["none", "some"] = "some"
    open: tuple[str, ...] = ()


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are held out: the last `test_us` of time, the last `test_share` of the rows, or that share of
    rows or of whole groups at random."""

    by: Literal["time", "order", "random", "group"] = "time"
    test_us: int = 0
    test_share: float = 0.25


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Where the data comes from and what its columns are for.

    An outcome is known at the column `outcome_at`, else `outcome_after_us` after `time`.
    `positive` is the target's value that counts as yes (not needed for a boolean target).
    `window_us` limits a snapshot to the rows decided in the last so many microseconds (0: all).
    `supplier` is the column that names who delivered a row; `tables` are the files of the contract's
    other tables, by name.
    """

    source: str
    contract: str
    target: str
    positive: Scalar = None
    time: str = ""
    subject: str = ""
    protected: tuple[str, ...] = ()
    group: str = ""
    outcome_at: str = ""
    outcome_after_us: int = 0
    window_us: int = 0
    split: Split = Split()
    supplier: str = ""
    tables: dict[str, str] = {}


class Tune(msgspec.Struct, frozen=True, kw_only=True):
    """A search over params: `ranges` holds (low, high) of a number, or the texts to choose from."""

    ranges: dict[str, tuple[Scalar, ...]]
    trials: int = 30
    timeout_us: int = 300_000_000


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One way to do the job: exactly one of `rule`, `fit` ("file.py:function"), `builtin`, `code`
    ("file.py:function", with the `files` it needs) and `of`: the candidate of which this is a variant in another
    `precision`. `timeout_us` and `memory_mb` bound its training; those of code, each question it is asked. `price` is
    what each of its answers costs beside the system's own price."""

    name: str
    baseline: bool = False
    rule: str = ""
    fit: str = ""
    builtin: str = ""
    code: str = ""
    files: tuple[str, ...] = ()
    of: str = ""
    precision: Literal["int8", "fp16", ""] = ""
    columns: tuple[str, ...] = ()
    params: dict[str, Scalar] = {}
    timeout_us: int = 600_000_000
    memory_mb: int = 4096
    price: float = 0.0
    tune: Tune | None = None

    @property
    def kind(self) -> str:
        """`rule`, `fit`, `code`, the built-in's name, or a variant's precision."""
        return self.builtin or self.precision or ("rule" if self.rule else "code" if self.code else "fit")


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """The documents from which a system answers: patterns of files, and characters of a passage at the most."""

    documents: tuple[str, ...]
    chunk: int = 900


class EvidencePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured beyond the task's own metrics. `slices` are true-or-false expressions by name;
    `max_slices` of those that are found are named; `behaviours` is a file; `folds` 0 means no
    cross-validation."""

    folds: int = 0
    behaviours: str = ""
    slices: dict[str, str] = {}
    max_slices: int = 5


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """The policy over evidence; fewer than `min_rows` rows can only be investigated."""

    lines: tuple[GateLine, ...] = ()
    min_rows: int = 100


class PolicyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What decides beside the threshold: business rules, the first that fires wins, and where the system abstains."""

    rules: tuple[Ruling, ...] = ()
    abstain: str = ""


OutOfContract = Literal["reject", "flag", "impute"]


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to an input outside its contract, and to one that is unlike those that were learned from.

    `impute` takes the values that break a rule of their field as missing.
    An answer may take `timeout_us` at the most.
    """

    out_of_contract: OutOfContract = "flag"
    outliers: Outliers = "off"
    timeout_us: int = 1_000_000


class LogPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an answer waits until its record would survive a power cut."""

    durability: Literal["sync", "async"] = "sync"


class Govern(msgspec.Struct, frozen=True, kw_only=True):
    """What the law asks to be known about the system."""

    role: Literal["provider", "deployer", ""] = ""
    risk: str = ""
    retention_us: int = 0


class System(msgspec.Struct, frozen=True, kw_only=True):
    """The whole truth of a system. `file` and `digest` are those of `kring.toml`."""

    name: str
    goal: str
    task: str
    owner: str
    affects: tuple[str, ...] = ()
    human_oversight: str = ""
    people: dict[Stage, Person] = {}
    frame: Frame
    data: Data
    prepare: dict[str, str] = {}
    lookups: tuple[LookupSpec, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    price: Price = Price()
    knowledge: Knowledge | None = None
    evidence: EvidencePlan = EvidencePlan()
    gate: Gate = Gate()
    rollout: RolloutPlan = RolloutPlan()
    policy: PolicyPlan = PolicyPlan()
    guard: Guard = Guard()
    watch: Watch = Watch()
    learn: Learn = Learn()
    notify: tuple[Notify, ...] = ()
    slo: Slo = Slo()
    drills: Drills = Drills()
    flags: tuple[Flag, ...] = ()
    trials: tuple[Trial, ...] = ()
    log: LogPlan = LogPlan()
    govern: Govern = Govern()
    access: AccessPolicy = AccessPolicy()
    file: str = ""
    digest: str = ""

    @property
    def baseline(self) -> Candidate:
        """The one candidate that is the baseline; the reader of `kring.toml` makes sure of it."""
        return next(candidate for candidate in self.candidates if candidate.baseline)

    def price_of(self, candidate: Candidate) -> Price | None:
        """What it costs when `candidate` answers; None when that costs nothing."""
        price = msgspec.structs.replace(self.price, decision=self.price.decision + candidate.price)
        return price if price != Price() else None

    def accountable(self, stage: Stage) -> str:
        """Who is accountable for `stage`; the system's owner when nobody else is named."""
        person = self.people.get(stage)
        return person.accountable if person else self.owner

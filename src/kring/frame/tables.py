"""The tables of `kring.toml` as they are written: the one place that knows its keys.

The reader, the JSON Schema for editors and the reference page are all made from these types.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import FieldInfo, fields

from kring.frame.kinds import (
    Amount,
    AtOnce,
    Builtin,
    ColumnName,
    Duration,
    Function,
    GateText,
    LongerDuration,
    Name,
    PerSecond,
    Price,
    Scalar,
    Share,
    Text,
    Unique,
)
from kring.frame.tables_running import (
    DrillTable,
    FlagTable,
    LearnTable,
    NotifyTable,
    RolloutTable,
    SloTable,
    TrialTable,
    WatchTable,
)
from kring.record.access import Role


class SystemTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the system is called, what it is for and whose it is."""

    name: Annotated[Name, Meta(description="The system's name, in ids, paths and reports")]
    goal: Annotated[Text, Meta(description="What the system is for, in one sentence")]
    task: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z_]{0,62}$",
            description="The kind of question it answers",
            extra={"allowed": "one lower-case word"},
        ),
    ]
    owner: Annotated[Text, Meta(description="Who owns the system, and answers for every stage that names nobody else")]
    affects: Annotated[tuple[Text, ...], Unique, Meta(description="Who is affected by its answers")] = ()
    human_oversight: Annotated[Text, Meta(description="What people see, decide and may overrule")] = ""


class PersonTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers for a stage, and who does the work."""

    accountable: Annotated[Text, Meta(description="Who answers for the stage")]
    responsible: Annotated[Text, Meta(description="Who does the work")] = ""


class PeopleTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is accountable, stage by stage. A stage that is left out belongs to the owner."""

    frame: Annotated[PersonTable | UnsetType, Meta(description="Goal, cost of mistakes, baseline")] = UNSET
    data: Annotated[PersonTable | UnsetType, Meta(description="Contract and snapshots")] = UNSET
    experiment: Annotated[PersonTable | UnsetType, Meta(description="Candidates and evidence")] = UNSET
    release: Annotated[PersonTable | UnsetType, Meta(description="Gate, versions and rollouts")] = UNSET
    operate: Annotated[PersonTable | UnsetType, Meta(description="Watching, alarms and retraining")] = UNSET


class CostTable(Struct, frozen=True, kw_only=True):
    """What a mistake costs. Every other key is a kind of mistake that the task knows, with its price."""

    currency: Annotated[Text, Meta(description="The unit of the prices, such as EUR or minutes")] = ""


class FrameTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the system exists: who decides what with it, and what a mistake costs."""

    decision: Annotated[Text, Meta(description="What is decided with an answer")]
    good_enough: Annotated[Text, Meta(description="What good enough means, in words; `[gate]` says it in numbers")] = ""
    cost: Annotated[CostTable, Meta(description="The price of each kind of mistake")] = CostTable()
    default: Annotated[Scalar | UnsetType, Meta(description="The answer when nothing else can answer")] = UNSET
    feedback: Annotated[
        Literal["none", "some"], Meta(description="Whether an answer changes the outcome that is later observed")
    ] = "some"
    open: Annotated[
        tuple[Text, ...], Unique, Meta(description="Questions that nobody has answered yet; check and go name them")
    ] = ()


class SplitTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows are held out from training."""

    by: Annotated[
        Literal["time", "order", "random", "group"],
        Meta(
            description="The last rows by time, or by their order in the feed; rows drawn at random, with the same "
            "share of each outcome; or whole groups of `group` drawn at random"
        ),
    ] = "time"
    test: Annotated[
        LongerDuration | Share, Meta(description='How much is held out: a span of time ("28d") or a share of the rows')
    ] = 0.25


class DataTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the data comes from and what its columns are for."""

    source: Annotated[Text, Meta(description="The feed: a file, or a pattern of files, relative to the folder")]
    contract: Annotated[Text, Meta(description="The data contract (ODCS v3.1), relative to the folder")]
    target: Annotated[Text, Meta(description="The column that holds the outcome")]
    positive: Annotated[
        Scalar | UnsetType, Meta(description="The target's value that means yes; a boolean target needs none")
    ] = UNSET
    time: Annotated[Text, Meta(description="The column that says when the decision is made")] = ""
    subject: Annotated[Text, Meta(description="The column that says about whom or what it is")] = ""
    protected: Annotated[tuple[Text, ...], Unique, Meta(description="Columns by which fairness is measured")] = ()
    group: Annotated[
        Text, Meta(description="The column whose rows belong together: intervals resample whole groups")
    ] = ""
    outcome_at: Annotated[
        Text, Meta(description="The column that says when the outcome is known; this or `outcome_after`")
    ] = ""
    outcome_after: Annotated[
        Duration | UnsetType, Meta(description="How long after `time` the outcome is known; this or `outcome_at`")
    ] = UNSET
    window: Annotated[
        LongerDuration | UnsetType, Meta(description="A snapshot holds the rows of the last so long; all when left out")
    ] = UNSET
    split: Annotated[SplitTable, Meta(description="Which rows are held out for the evidence")] = SplitTable()
    supplier: Annotated[
        Text, Meta(description="The column that names who delivered the row: each supplier gets a verdict of its own")
    ] = ""
    tables: Annotated[
        dict[ColumnName, Text],
        Meta(description="Other tables of the contract, by name: files whose keys the feed's columns point to"),
    ] = {}


class LookupTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mean of a column per key, from rows whose outcome was known. Used by `lookup("NAME", key = [...])`."""

    key: Annotated[tuple[Text, ...], Unique, Meta(min_length=1, description="The columns that make the key")]
    value: Annotated[Text, Meta(description="The column whose mean is looked up")]
    prior: Annotated[
        float, Meta(ge=0, description="Pseudo-rows at the overall mean, which pull rare keys towards it")
    ] = 0.0


class TuneTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search for better params, by cross-validation on the rows to learn from; needs the extra `tune`."""

    ranges: Annotated[
        dict[Text, tuple[Scalar, ...]],
        Meta(min_length=1, description="For each param the lowest and the highest value, or the texts to choose from"),
    ]
    trials: Annotated[int, Meta(ge=1, le=10_000, description="How many settings are tried at the most")] = 30
    timeout: Annotated[LongerDuration, Meta(description="How long the search may take")] = "5m"


class CandidateTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to do the job: exactly one of `rule`, `fit`, `builtin`, `code` and `of`. One is the baseline."""

    name: Annotated[Name, Meta(description="The candidate's name; no two share one")]
    baseline: Annotated[bool, Meta(description="The one that the others have to beat")] = False
    rule: Annotated[Text, Meta(description="An expression over prepared columns that gives the answer")] = ""
    fit: Annotated[Function, Meta(description="Your function that returns an unfitted estimator")] = ""
    builtin: Annotated[Builtin | UnsetType, Meta(description="A candidate that Kring brings along")] = UNSET
    code: Annotated[
        Function, Meta(description="Your function that answers: Python at prediction time, in its own process")
    ] = ""
    files: Annotated[
        tuple[Text, ...], Unique, Meta(description="What `code` needs beside its file: sources and data, in the folder")
    ] = ()
    of: Annotated[Text, Meta(description="The candidate of which this is a smaller variant; needs `precision`")] = ""
    precision: Annotated[
        Literal["int8", "fp16"] | UnsetType, Meta(description="How the numbers of a smaller variant are kept")
    ] = UNSET
    columns: Annotated[tuple[Text, ...], Unique, Meta(description="The prepared columns it sees; all if left out")] = ()
    params: Annotated[dict[Text, Scalar], Meta(description="Settings handed to `fit` or `builtin`")] = {}
    timeout: Annotated[
        LongerDuration | UnsetType,
        Meta(description='How long training may take, "10m" if left out; of `code`, one question, "1s" if left out'),
    ] = UNSET
    memory_mb: Annotated[
        Annotated[int, Meta(ge=64, le=1_048_576)] | UnsetType,
        Meta(description="How much memory training may take, in MB, 4096 if left out; of `code`, its process, 512"),
    ] = UNSET
    price: Annotated[
        Amount, Meta(description="What each of its answers costs beside `[price]`, such as data that are bought for it")
    ] = 0.0
    tune: Annotated[TuneTable | UnsetType, Meta(description="A search for better `params` of a `builtin`")] = UNSET


class PriceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it costs to answer, in `frame.cost.currency`, whichever candidate does. It is pinned in the version."""

    decision: Annotated[Amount, Meta(description="What each answer costs")] = 0.0
    second: Annotated[Amount, Meta(description="What each second costs in which answers are worked on")] = 0.0


class KnowledgeTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The documents from which a system answers questions."""

    documents: Annotated[
        tuple[Text, ...], Unique, Meta(min_length=1, description="Files or patterns of files, relative to the folder")
    ]
    chunk: Annotated[int, Meta(ge=100, le=20_000, description="Characters of a passage at the most")] = 900


class EvidenceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is measured beyond the task's own metrics."""

    folds: Annotated[int, Meta(ge=0, le=20, description="Parts of the cross-validation; 0 for none")] = 0
    behaviours: Annotated[Text, Meta(description="The file of behaviour tests, relative to the folder")] = ""
    slices: Annotated[
        dict[ColumnName, Text],
        Meta(description="Parts of the rows to be measured on their own: a name and a true-or-false expression"),
    ] = {}
    max_slices: Annotated[int, Meta(ge=0, le=100, description="How many weak slices are named; 0 looks for none")] = 5


class GateTable(Struct, frozen=True, kw_only=True):
    """The policy over evidence. Every other key is a metric, or a prefix with `.*`, and what it must be."""

    min_rows: Annotated[int, Meta(ge=1, description="With fewer rows a line can only be investigated")] = 100


class RuleTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A business rule. The first that fires decides, whatever the model says."""

    when: Annotated[
        Text, Meta(description="True or false over the contract's columns, prepared columns and the output")
    ]
    decision: Annotated[Scalar, Meta(description='The decision that is taken; `"review"` lets a person decide')]
    reason: Annotated[Text, Meta(description="Why, in words; it goes on record")] = ""


class PolicyTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides beside the threshold. It is pinned in the version."""

    rule: Annotated[tuple[RuleTable, ...], Meta(description="Business rules; the first that fires decides")] = ()
    abstain: Annotated[
        Text, Meta(description='Where this is true and no rule fires, the decision is `"review"`: a person decides')
    ] = ""


class GuardTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens at the door."""

    out_of_contract: Annotated[
        Literal["reject", "flag", "impute"],
        Meta(
            description="What happens to an input that breaks the contract: it is turned away, decided and flagged, or "
            "decided without the values that break a rule of their column"
        ),
    ] = "flag"
    outliers: Annotated[
        Literal["off", "flag", "review"],
        Meta(description="What happens to an input that is unlike those that the version learned from"),
    ] = "off"
    timeout_ms: Annotated[
        int, Meta(ge=1, le=600_000, description="An answer that takes longer comes from the next on the ladder")
    ] = 1000


class LogTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How decisions are put on record."""

    durability: Annotated[
        Literal["sync", "async"],
        Meta(
            description="Whether an answer waits until its record would survive a power cut. With `async` a tenth of a "
            "second of acknowledged decisions may be lost then; a process that dies loses none"
        ),
    ] = "sync"


class GovernTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the law asks to be known."""

    role: Annotated[
        Literal["provider", "deployer"] | UnsetType, Meta(description="Your role in the sense of the EU AI Act")
    ] = UNSET
    risk: Annotated[Text, Meta(description="The risk class and why, in words")] = ""
    retention: Annotated[
        LongerDuration | UnsetType, Meta(description="How long decisions are kept; no limit when left out")
    ] = UNSET


class OidcTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose tokens are believed besides API keys."""

    issuer: Annotated[
        str,
        Meta(
            pattern=r"^https://[^\s/?#@]+(/[^\s?#]*)?$",
            description="Who makes the tokens: exactly what their `iss` says",
            extra={"allowed": "an address that begins with https://"},
        ),
    ]
    audience: Annotated[Text, Meta(description="For whom they are made: what their `aud` says")]
    jwks: Annotated[Text, Meta(description="The file with the issuer's public keys, relative to the folder")]
    claim: Annotated[Text, Meta(description="The claim that gives roles; a path with dots into nested claims")]
    roles: Annotated[dict[Text, Role], Meta(min_length=1, description="Which value of the claim gives which role")]
    max_age: Annotated[LongerDuration, Meta(description="How old the file may be before no token is believed")] = "7d"


class RateTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be asked on one machine; no limit when left out."""

    per_second: Annotated[PerSecond | UnsetType, Meta(description="Requests a second")] = UNSET
    at_once: Annotated[AtOnce | UnsetType, Meta(description="Requests at the same time")] = UNSET


class AccessTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask, and how much: tokens besides API keys, and limits on one machine."""

    oidc: Annotated[OidcTable | UnsetType, Meta(description="Tokens of an OpenID Connect issuer")] = UNSET
    per_key: Annotated[RateTable, Meta(description="What each key or token may ask")] = RateTable()
    per_system: Annotated[RateTable, Meta(description="What all together may ask")] = RateTable()


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kring.toml`: the whole truth of one system."""

    system: SystemTable
    people: PeopleTable = PeopleTable()
    frame: FrameTable
    data: DataTable
    lookup: dict[ColumnName, LookupTable] = {}
    prepare: Annotated[
        dict[ColumnName, Text],
        Meta(description="The columns that candidates see: each a name and an expression over the contract's columns"),
    ] = {}
    candidate: Annotated[tuple[CandidateTable, ...], Meta(min_length=1)]
    price: PriceTable = PriceTable()
    knowledge: KnowledgeTable | UnsetType = UNSET
    evidence: EvidenceTable = EvidenceTable()
    gate: GateTable = GateTable()
    rollout: RolloutTable = RolloutTable()
    policy: PolicyTable = PolicyTable()
    guard: GuardTable = GuardTable()
    watch: WatchTable = WatchTable()
    learn: LearnTable = LearnTable()
    notify: Annotated[tuple[NotifyTable, ...], Meta(description="Who is told of alarms")] = ()
    slo: SloTable = SloTable()
    drill: DrillTable = DrillTable()
    flag: Annotated[tuple[FlagTable, ...], Meta(description="Values that are switched without a release")] = ()
    trial: Annotated[tuple[TrialTable, ...], Meta(description="A/B tests")] = ()
    log: LogTable = LogTable()
    govern: GovernTable = GovernTable()
    access: AccessTable = AccessTable()


OTHERS: Final[dict[type[Struct], tuple[str, object]]] = {
    CostTable: ("MISTAKE", Price),
    GateTable: ("METRIC", GateText),
}
"""What the further keys of an open table are called and hold."""


@cache
def fields_of(table: type[Struct]) -> dict[str, FieldInfo]:
    """The keys of a table, in order."""
    return {field.name: field for field in fields(table)}

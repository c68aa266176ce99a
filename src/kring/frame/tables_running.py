"""The tables of `kring.toml` about a running system: rollouts, watching, alarms, learning, service levels, flags."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from kring.frame.kinds import (
    Count,
    Cron,
    Duration,
    LongerDuration,
    Name,
    Percent,
    Scalar,
    Share,
    ShareOrNone,
    Text,
    Unique,
    Variable,
)
from kring.record.running import DrillName, GuardrailKind, OutcomeKind, Season, Sticky, Tier, Trigger


class RolloutTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a version comes to answer, and what stops it."""

    shadow: Annotated[Duration, Meta(description="How long it answers beside the live version, unheard")] = "1d"
    steps: Annotated[
        tuple[Percent, ...], Unique, Meta(description="Shares of live traffic on the way, in percent, rising")
    ] = ()
    bake: Annotated[Duration, Meta(description="How long a promoted version bakes before its rollout is done")] = "1d"
    guardrails: Annotated[
        tuple[GuardrailKind, ...], Unique, Meta(description="What must not become worse while traffic moves")
    ] = ("error", "fallback")
    alpha: Annotated[Share, Meta(description="How probable it may be that a good version is rolled back")] = 0.05
    beta: Annotated[Share, Meta(description="How probable it may be that a version beyond a margin is advanced")] = 0.05
    floor: Annotated[Share, Meta(description="A rate of bad units below which a guardrail is safe as it is")] = 0.005
    min_units: Annotated[Count, Meta(description="Units of the new version that a step needs at least")] = 500
    sticky: Annotated[
        Sticky,
        Meta(description="How long a subject stays with one version: a day, the whole rollout, or one request"),
    ] = "day"
    step_for: Annotated[LongerDuration, Meta(description="How long a step may take before the rollout is held")] = "14d"
    holdback: Annotated[
        ShareOrNone, Meta(description="The share of traffic that stays with the old version while the new one bakes")
    ] = 0.05
    delta: Annotated[
        Share,
        Meta(description="How much worse a shadow may be where no answer changes an outcome, of the largest loss"),
    ] = 0.01
    label_after: Annotated[
        Duration | UnsetType,
        Meta(description="The age at which outcomes are compared; when the data knows them if left out"),
    ] = UNSET


class ProbesTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fixed set of questions that is asked again and again, to notice a silent change."""

    file: Annotated[Text, Meta(description="The questions, one JSON object a line, relative to the folder")]
    every: Annotated[LongerDuration, Meta(description="How often they are asked")] = "1d"


class WatchTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the live version is watched."""

    window: Annotated[LongerDuration, Meta(description="The span of one window of counts")] = "1d"
    maturity: Annotated[
        Duration, Meta(description="How long after its end a window is judged, when its outcomes are known")
    ] = "2d"
    quality_over: Annotated[LongerDuration, Meta(description="The span over which realised quality is judged")] = "30d"
    judge_every: Annotated[LongerDuration, Meta(description="How often realised quality is judged")] = "7d"
    min_windows: Annotated[int, Meta(ge=1, description="Windows with known outcomes that a judgement needs")] = 14
    violations: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Alarm when a larger share of a window's rows breaks the contract",
            extra={"allowed": "a share from 0 to 1 (5 % is 0.05)"},
        ),
    ] = 0.05
    drift: Annotated[
        ShareOrNone,
        Meta(description="How far a distribution may lie from its reference, as a share of rows; 0 looks at none"),
    ] = 0.02
    alpha: Annotated[Share, Meta(description="How probable a false alarm of drift may be in `horizon` windows")] = 0.05
    horizon: Annotated[Count, Meta(description="For how many windows `alpha` holds")] = 1000
    season: Annotated[
        Season | UnsetType, Meta(description="Which windows are compared with each other; all when left out")
    ] = UNSET
    outliers: Annotated[
        ShareOrNone, Meta(description="Alarm when a larger share is unlike what was learned from; 0 looks at none")
    ] = 0.0
    cost: Annotated[float, Meta(ge=0, description="Alarm when a decision costs more on average; 0 looks at none")] = 0.0
    latency_ms: Annotated[float, Meta(ge=0, description="Alarm when a p99 is above; 0 looks at none")] = 0.0
    queries: Annotated[bool, Meta(description="Whether to look for callers who extract or probe the model")] = False
    probes: Annotated[ProbesTable | UnsetType, Meta(description="Questions that are asked again and again")] = UNSET


class NotifyTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told of alarms."""

    name: Annotated[Name, Meta(description="A name for this target; no two share one")]
    to: Annotated[
        Literal["webhook", "alertmanager", "mail"],
        Meta(description="CloudEvents, Alertmanager v2 or SMTP"),
    ]
    url: Annotated[Text, Meta(description="Where: https://…, or smtp://host:port and smtps://host:port for mail")]
    least: Annotated[Tier, Meta(description="The least urgent tier that is told")] = "ticket"
    secret: Annotated[
        Variable | UnsetType,
        Meta(description="The environment variable that holds the signing key, token or password"),
    ] = UNSET
    recipients: Annotated[tuple[Text, ...], Unique, Meta(description="Addresses that mail is sent to")] = ()
    sender: Annotated[Text | UnsetType, Meta(description="The address that mail is sent from")] = UNSET
    inner: Annotated[bool, Meta(description="Whether the address may be one of a private network")] = False


class ReviewTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions people look at."""

    share: Annotated[ShareOrNone, Meta(description="A share of all decisions, drawn at random")] = 0.0
    uncertain: Annotated[bool, Meta(description="Those about which the version was least sure")] = False
    flagged: Annotated[bool, Meta(description="Those on which a guard fired")] = False
    disagreeing: Annotated[bool, Meta(description="Those on which a shadow disagreed")] = False
    reviewers: Annotated[int, Meta(ge=1, le=10, description="How many people look at each")] = 1


class BudgetTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many trainings there may be."""

    trainings: Annotated[Count, Meta(description="At the most so many")]
    per: Annotated[LongerDuration, Meta(description="In this span")] = "30d"


class LearnTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to train again."""

    retrain_on: Annotated[tuple[Trigger, ...], Unique, Meta(description="What starts a training")] = ()
    every: Annotated[LongerDuration, Meta(description="The schedule")] = "30d"
    cron: Annotated[Cron | UnsetType, Meta(description="The schedule as a cron expression in UTC, instead")] = UNSET
    cooldown: Annotated[Duration, Meta(description="The least time between two trainings")] = "7d"
    budget: Annotated[BudgetTable | UnsetType, Meta(description="How many trainings there may be")] = UNSET
    ask: Annotated[bool, Meta(description="Whether a person says yes before each training")] = False
    trusted: Annotated[
        Text | UnsetType,
        Meta(description="A file of rows with outcomes that nobody outside could have touched"),
    ] = UNSET
    review: Annotated[ReviewTable, Meta(description="Which decisions people look at")] = ReviewTable()


class SloTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Promised service, as shares of the requests."""

    availability: Annotated[Share | UnsetType, Meta(description="That are answered, by whomever")] = UNSET
    latency: Annotated[Share | UnsetType, Meta(description="That are answered within `latency_ms`")] = UNSET
    latency_ms: Annotated[float, Meta(gt=0, description="The time for `latency`")] = 100.0
    success: Annotated[Share | UnsetType, Meta(description="That the version which was asked answers itself")] = UNSET
    over: Annotated[LongerDuration, Meta(description="The span in which the promise holds")] = "30d"


class DrillTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which failures are rehearsed."""

    names: Annotated[tuple[DrillName, ...], Unique, Meta(description="The drills")] = ()
    every: Annotated[LongerDuration, Meta(description="How old the last one may be before it is overdue")] = "90d"


class FlagRuleTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom a flag has another variant. The first that applies holds."""

    variant: Annotated[Name, Meta(description="The variant")]
    when: Annotated[Text | UnsetType, Meta(description="True or false over the context of the question")] = UNSET
    share: Annotated[
        float, Meta(ge=0, le=1, description="For this share of them, always the same ones", extra={"allowed": "0 to 1"})
    ] = 1.0


class FlagTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that is switched without a release, asked for over OFREP."""

    name: Annotated[Name, Meta(description="The flag's key; no two share one")]
    variants: Annotated[dict[Name, Scalar], Meta(min_length=1, description="Its values by name, all of one type")]
    default: Annotated[Name, Meta(description="The variant when no rule applies")]
    off: Annotated[Name | UnsetType, Meta(description="The variant while it is off; `default` if left out")] = UNSET
    description: Annotated[Text | UnsetType, Meta(description="What it is for")] = UNSET
    rule: Annotated[tuple[FlagRuleTable, ...], Meta(description="For whom it has another variant")] = ()


class TrialOutcomeTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What users did."""

    name: Annotated[Name, Meta(description="What is reported, such as bought or stayed")]
    kind: Annotated[OutcomeKind, Meta(description="A yes or no, a score, or money")] = "rate"
    low: Annotated[float, Meta(description="The least value of a score or of money")] = 0.0
    high: Annotated[float, Meta(description="The largest value; larger ones count as this")] = 1.0
    within: Annotated[LongerDuration, Meta(description="How long after it was assigned a unit's outcome counts")] = "7d"
    better: Annotated[Literal["higher", "lower"], Meta(description="Which way is good")] = "higher"


class TrialTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An A/B test: arms compared on what users do, with rules for its end that are declared beforehand."""

    name: Annotated[Name, Meta(description="Its name; no two share one")]
    flag: Annotated[Name | UnsetType, Meta(description="The flag whose variants are the arms")] = UNSET
    arms: Annotated[
        dict[Name, Text], Meta(description='The arms: of a flag, variants; else versions (`"live"` is the live one)')
    ]
    control: Annotated[Name, Meta(description="The arm that the others are compared with")]
    shares: Annotated[dict[Name, Share], Meta(description="The arms' shares; equal ones if left out")] = {}
    outcome: Annotated[
        tuple[TrialOutcomeTable, ...], Meta(min_length=1, description="What is compared; the first decides")
    ]
    alpha: Annotated[Share, Meta(description="How probable a false finding may be, whenever one looks")] = 0.05
    least_units: Annotated[Count, Meta(description="No end before each arm has so many")] = 100
    most_units: Annotated[Count | UnsetType, Meta(description="The end when so many units were assigned")] = UNSET
    most_time: Annotated[LongerDuration | UnsetType, Meta(description="The end after this time")] = UNSET

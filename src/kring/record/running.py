"""How a system is run: `kring.toml` on rollouts, watching, alarms, learning, service levels, flags, trials.

Durations are microseconds here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.contract import Scalar

Trigger = Literal["contract", "quality", "drift", "schedule"]
GuardrailKind = Literal["error", "fallback", "contract", "abstention", "latency", "cost", "outcome"]
Sticky = Literal["day", "rollout", "request"]
Season = Literal["", "hour_of_week", "month"]
Tier = Literal["note", "ticket", "page"]
DrillName = Literal["dead_worker", "hung_model", "store_down", "bad_feed", "bad_release", "leaked_key"]
OutcomeKind = Literal["rate", "score", "money"]


class RolloutPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How long a version is shadowed, which steps of traffic it walks, how long it bakes, and what guards it.

    A good version is rolled back with a probability of at most `alpha`, a bad one advanced with at most `beta`.
    `floor` is the rate of bad units below which a guardrail that is judged absolutely is safe. A unit is a subject on
    one day, a subject for the whole rollout, or a request (`sticky`). A step may take `step_us` at the most.
    An outcome counts `label_after_us` after its decision (0: when the data says that it is known). `delta` is how much
    worse a shadow may be, as a share of the largest loss, where no answer changes an outcome.
    """

    shadow_us: int = 86_400_000_000
    steps: tuple[int, ...] = ()
    bake_us: int = 86_400_000_000
    guardrails: tuple[GuardrailKind, ...] = ("error", "fallback")
    alpha: float = 0.05
    beta: float = 0.05
    floor: float = 0.005
    min_units: int = 500
    sticky: Sticky = "day"
    step_us: int = 14 * 86_400_000_000
    holdback: float = 0.05
    delta: float = 0.01
    label_after_us: int = 0


class ProbesPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A fixed set of questions that is asked again and again, `every_us`."""

    file: str
    every_us: int = 86_400_000_000


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """`window_us` is the span of one window; a window is judged `maturity_us` after its end, when its
    outcomes are known as far as they will be; realised quality is judged over `quality_us`, every
    `judge_every_us`, when at least `min_windows` windows hold matured outcomes; data quality pages when more
    than `violations` of a window's rows break the contract.

    `drift` is how far a distribution may lie from its reference, as a share of the rows (0: not watched); in `horizon`
    windows it raises a false alarm with a probability of at most `alpha`. `season` says which windows share one.
    `outliers` is the largest share of rows unlike those that were learned from, `cost` the highest price of a decision,
    `latency_ms` the highest p99 (each 0: not watched). `queries` watches for extraction and probing.
    """

    window_us: int = 86_400_000_000
    quality_us: int = 30 * 86_400_000_000
    judge_every_us: int = 7 * 86_400_000_000
    maturity_us: int = 2 * 86_400_000_000
    min_windows: int = 14
    violations: float = 0.05
    drift: float = 0.02
    alpha: float = 0.05
    horizon: int = 1000
    season: Season = ""
    outliers: float = 0.0
    cost: float = 0.0
    latency_ms: float = 0.0
    queries: bool = False
    probes: ProbesPlan | None = None


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told of alarms of at least the tier `least`. `secret` names the environment variable that holds the key
    of signatures, the token or the password. `inner` allows an address that is not public."""

    name: str
    to: Literal["webhook", "alertmanager", "mail"]
    url: str
    least: Tier = "ticket"
    secret: str = ""
    recipients: tuple[str, ...] = ()
    sender: str = ""
    inner: bool = False


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions people look at: a `share` drawn at random, those about which the version was `uncertain`, those
    on which a guard fired (`flagged`), those where a shadow disagreed. `reviewers` look at each."""

    share: float = 0.0
    uncertain: bool = False
    flagged: bool = False
    disagreeing: bool = False
    reviewers: int = 1


class Learn(msgspec.Struct, frozen=True, kw_only=True):
    """When to train again: on which triggers, how often at the most, and the schedule: `every_us`, or `cron` in UTC.

    At most `trainings` of them in `budget_us` (0: no limit). With `ask` a person says yes before each. `trusted` is a
    file of rows with outcomes that nobody outside could have touched.
    """

    retrain_on: tuple[Trigger, ...] = ()
    every_us: int = 30 * 86_400_000_000
    cron: str = ""
    cooldown_us: int = 7 * 86_400_000_000
    trainings: int = 0
    budget_us: int = 30 * 86_400_000_000
    ask: bool = False
    trusted: str = ""
    review: Review = Review()


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """Promised service over `over_us`: the share of requests that are answered, that are answered within `latency_ms`,
    and that the version which was asked answers itself (each 0: not promised)."""

    availability: float = 0.0
    latency: float = 0.0
    latency_ms: float = 100.0
    success: float = 0.0
    over_us: int = 30 * 86_400_000_000


class Drills(msgspec.Struct, frozen=True, kw_only=True):
    """Which failures are rehearsed, `every_us` at the latest."""

    names: tuple[DrillName, ...] = ()
    every_us: int = 90 * 86_400_000_000


class FlagRule(msgspec.Struct, frozen=True, kw_only=True):
    """For whom `when` is true (an expression over the evaluation's context; empty: for everybody), `variant` holds; or
    for a stable `share` of them."""

    variant: str
    when: str = ""
    share: float = 1.0


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is switched without a release: the first rule that applies, else `default`. `off` is the variant
    while the kill switch is pulled."""

    name: str
    variants: dict[str, Scalar]
    default: str
    off: str
    description: str = ""
    rules: tuple[FlagRule, ...] = ()


class TrialOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What users did, within `within_us` after they were assigned: a yes or no (`rate`), a score or money between `low`
    and `high`. `better` says which way is good."""

    name: str
    kind: OutcomeKind = "rate"
    low: float = 0.0
    high: float = 1.0
    within_us: int = 7 * 86_400_000_000
    better: Literal["higher", "lower"] = "higher"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """An A/B test: variants of `flag`, or versions, compared with the arm `control` on outcomes, the first of which
    decides. It stops when the first outcome is proven better or worse, after `most_units`, or after `most_us`,
    whatever comes first; never before `least_units` in each arm. `shares` are those of the arms."""

    name: str
    arms: dict[str, str]
    control: str
    shares: dict[str, float]
    outcomes: tuple[TrialOutcome, ...]
    flag: str = ""
    alpha: float = 0.05
    least_units: int = 100
    most_units: int = 0
    most_us: int = 0

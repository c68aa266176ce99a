"""From the tables about a running system to its records."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UnsetType

from kring.frame.durations import microseconds
from kring.frame.tables_running import (
    BudgetTable,
    FlagTable,
    LearnTable,
    NotifyTable,
    ProbesTable,
    RolloutTable,
    SloTable,
    TrialOutcomeTable,
    TrialTable,
    WatchTable,
)
from kring.record.running import (
    Flag,
    FlagRule,
    Learn,
    Notify,
    ProbesPlan,
    Review,
    RolloutPlan,
    Slo,
    Trial,
    TrialOutcome,
    Watch,
)

T = TypeVar("T")


def rollout_plan(table: RolloutTable) -> RolloutPlan:
    return RolloutPlan(
        shadow_us=microseconds(table.shadow),
        steps=table.steps,
        bake_us=microseconds(table.bake),
        guardrails=table.guardrails,
        alpha=table.alpha,
        beta=table.beta,
        floor=table.floor,
        min_units=table.min_units,
        sticky=table.sticky,
        step_us=microseconds(table.step_for),
        holdback=table.holdback,
        delta=table.delta,
        label_after_us=span(table.label_after),
    )


def watch_plan(table: WatchTable) -> Watch:
    return Watch(
        window_us=microseconds(table.window),
        quality_us=microseconds(table.quality_over),
        judge_every_us=microseconds(table.judge_every),
        maturity_us=microseconds(table.maturity),
        min_windows=table.min_windows,
        violations=table.violations,
        drift=table.drift,
        alpha=table.alpha,
        horizon=table.horizon,
        season=given(table.season, ""),
        outliers=table.outliers,
        cost=table.cost,
        latency_ms=table.latency_ms,
        queries=table.queries,
        probes=_probes(table.probes),
    )


def _probes(table: ProbesTable | UnsetType) -> ProbesPlan | None:
    if isinstance(table, UnsetType):
        return None
    return ProbesPlan(file=table.file, every_us=microseconds(table.every))


def notify(table: NotifyTable) -> Notify:
    return Notify(
        name=table.name,
        to=table.to,
        url=table.url,
        least=table.least,
        secret=given(table.secret, ""),
        recipients=table.recipients,
        sender=given(table.sender, ""),
        inner=table.inner,
    )


def learn_plan(table: LearnTable) -> Learn:
    budget = BudgetTable(trainings=1) if isinstance(table.budget, UnsetType) else table.budget
    review = table.review
    return Learn(
        retrain_on=table.retrain_on,
        every_us=microseconds(table.every),
        cron=given(table.cron, ""),
        cooldown_us=microseconds(table.cooldown),
        trainings=0 if isinstance(table.budget, UnsetType) else budget.trainings,
        budget_us=microseconds(budget.per),
        ask=table.ask,
        trusted=given(table.trusted, ""),
        review=Review(
            share=review.share,
            uncertain=review.uncertain,
            flagged=review.flagged,
            disagreeing=review.disagreeing,
            reviewers=review.reviewers,
        ),
    )


def slo(table: SloTable) -> Slo:
    return Slo(
        availability=given(table.availability, 0.0),
        latency=given(table.latency, 0.0),
        latency_ms=table.latency_ms,
        success=given(table.success, 0.0),
        over_us=microseconds(table.over),
    )


def flag(table: FlagTable) -> Flag:
    return Flag(
        name=table.name,
        variants=dict(table.variants),
        default=table.default,
        off=given(table.off, table.default),
        description=given(table.description, ""),
        rules=tuple(FlagRule(variant=one.variant, when=given(one.when, ""), share=one.share) for one in table.rule),
    )


def trial(table: TrialTable) -> Trial:
    """Equal shares for the arms of a table that names none."""
    return Trial(
        name=table.name,
        arms=dict(table.arms),
        control=table.control,
        shares=dict(table.shares) or {name: 1 / len(table.arms) for name in table.arms},
        outcomes=tuple(_outcome(one) for one in table.outcome),
        flag=given(table.flag, ""),
        alpha=table.alpha,
        least_units=table.least_units,
        most_units=given(table.most_units, 0),
        most_us=span(table.most_time),
    )


def _outcome(table: TrialOutcomeTable) -> TrialOutcome:
    return TrialOutcome(
        name=table.name,
        kind=table.kind,
        low=table.low,
        high=table.high,
        within_us=microseconds(table.within),
        better=table.better,
    )


def given(value: T | UnsetType, otherwise: T) -> T:
    """What was written, else `otherwise`."""
    return otherwise if isinstance(value, UnsetType) else value


def span(text: str | UnsetType) -> int:
    """A duration in microseconds; 0 when there is none."""
    return 0 if isinstance(text, UnsetType) else microseconds(text)

"""The terms of a rollout: what `kring.toml` asks for, frozen with what is known of the version that answers now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from kring.errors import Refused
from kring.record.rollout import Guardrail, Route, Terms, UnitKind
from kring.record.running import GuardrailKind, Sticky
from kring.record.system import System

MARGINS: Final = ((5, 2.0), (20, 1.5), (100, 1.25))
"""Up to a share of so many percent a version may be less than so many times as bad."""

UNITS: Final[dict[Sticky, UnitKind]] = {"day": "subject_day", "rollout": "subject", "request": "request"}
ABSOLUTE: Final[frozenset[GuardrailKind]] = frozenset({"error", "fallback", "contract", "abstention"})
"""With no bad unit in either arm nothing can be compared: these are held against a limit."""

MEASURED: Final[dict[GuardrailKind, tuple[float, ...]]] = {"latency": (0.5, 0.9, 0.99), "cost": (0.9,)}
"""The quantiles of the version that answers now beyond which a unit is bad."""

LOSSES: Final = (0.5, 0.9, 0.99)
"""The same for outcomes, where no decision is plainly right or wrong."""

LEAST: Final = 200
"""Fewer decisions say nothing about a p99."""

LACKS: Final[dict[GuardrailKind, tuple[str, str]]] = {
    "latency": (f"fewer than {LEAST} decisions of it on record", "let the live version answer for a while"),
    "cost": (
        f"fewer than {LEAST} decisions of it on record, or none with a cost",
        "declare [price] and release a version for which it holds, let that answer for a while",
    ),
    "outcome": (
        f"fewer than {LEAST} decisions of it whose outcomes are known",
        "report outcomes (kring outcome, POST /api/outcomes), let the live version answer for a while",
    ),
}
"""What is not there when the limits of a guardrail are not known, and what brings it."""


def config_digest(system: System) -> str:
    """What must not be edited while a rollout lasts: `[rollout]` and `[gate]`."""
    return hashlib.sha256(msgspec.json.encode((system.rollout, system.gate), order="sorted")).hexdigest()


def label_age(system: System) -> int:
    """The age at which outcomes count, in microseconds: as declared, else when the data knows them, else when a window
    is mature."""
    return system.rollout.label_after_us or system.data.outcome_after_us or system.watch.maturity_us or 1


def told_alone(system: System) -> frozenset[GuardrailKind]:
    """What is guarded and depends on how many rows are decided together: only rows asked alone count for it."""
    kinds = ("latency", "cost") if system.price.second else ("latency",)
    return frozenset(kind for kind in system.rollout.guardrails if kind in kinds)


def unit_of(system: System) -> UnitKind:
    """What is drawn for an arm: with nobody named, each request."""
    return UNITS[system.rollout.sticky] if system.data.subject else "request"


def freeze(system: System, *, limits: Mapping[str, tuple[float, ...]], salt: str, at: int) -> Terms:
    """The terms of a rollout that starts at `at`, with the `limits` of its guardrails by name.

    `Refused` for a guardrail whose limits are not known: without them nothing of it could ever be bad. Outcomes need
    them too, be it none where a decision is right or wrong.
    """
    plan = system.rollout
    return Terms(
        unit=unit_of(system),
        salt=salt,
        steps=plan.steps,
        margins=tuple(next(margin for up_to, margin in MARGINS if step <= up_to) for step in plan.steps),
        alpha=plan.alpha,
        beta=plan.beta,
        floor=plan.floor,
        delta=plan.delta,
        holdback=plan.holdback if plan.steps else 0.0,
        min_units=plan.min_units,
        shadow_us=plan.shadow_us,
        step_us=plan.step_us,
        bake_us=plan.bake_us,
        guardrails=tuple(_guardrail(kind, system, limits.get(kind)) for kind in plan.guardrails),
        config=config_digest(system),
        at=at,
    )


def _guardrail(kind: GuardrailKind, system: System, limits: tuple[float, ...] | None) -> Guardrail:
    needed = {**MEASURED, "outcome": LOSSES}.get(kind, ())
    if limits is None and needed:
        raise Refused(
            f"the guardrail {kind} has no data: too little is known of the {kind} of the version that answers now",
            got=LACKS[kind][0],
            allowed=f"{LEAST} at least, for its quantiles {', '.join(f'p{share * 100:g}' for share in needed)}",
            next=", or ".join(filter(None, (LACKS[kind][1], f"leave {kind!r} out of rollout.guardrails"))),
            key="rollout.guardrails",
        )
    aged = kind == "outcome"
    return Guardrail(
        name=kind,
        kind=kind,
        route=_route(kind, system),
        limits=limits or (),
        age_us=label_age(system) if aged else 0,
        alone=kind in told_alone(system),
    )


def _route(kind: GuardrailKind, system: System) -> Route:
    """Where no answer changes an outcome both versions are judged on the same rows, in shadow. Of fixed prices none is
    above a quantile of themselves: there is nothing to compare either."""
    if kind == "outcome" and system.frame.feedback == "none":
        return "paired"
    is_fixed = kind == "cost" and not system.price.second
    return "absolute" if is_fixed or kind in ABSOLUTE else "relative"

"""A system as it can be lived where nothing takes time: the clock of a replay stands still while answers are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from kring.flow.project import Project
from kring.record.replay import Replay
from kring.record.system import System


def untimed(project: Project) -> Project:
    """The project without what time alone could tell: a guardrail that can never be proven would hold every rollout,
    one without data would end every training."""
    system = project.system
    idle = idle_guardrails(system)
    kinds = tuple(kind for kind in system.rollout.guardrails if kind not in idle)
    lived = msgspec.structs.replace(
        system,
        rollout=msgspec.structs.replace(system.rollout, guardrails=kinds),
        price=msgspec.structs.replace(system.price, second=0.0),
    )
    return replace(project, system=lived)


def untried(system: System) -> Iterator[str]:
    """What `kring.toml` says that a replay can't try, in its keys."""
    yield from (
        f'"{kind}" of rollout.guardrails' for kind in system.rollout.guardrails if kind in idle_guardrails(system)
    )
    said = {
        "price.second": system.price.second,
        "watch.cost": system.watch.cost and not has_fixed_price(system),
        "watch.latency_ms": system.watch.latency_ms,
        "slo.latency": system.slo.latency,
    }
    yield from (key for key, value in said.items() if value)


def told_untried(replay: Replay) -> str:
    """The same in a sentence, for a replay in which anything was not tried."""
    return f"Nothing takes time in a replay, so this was not tried: {', '.join(replay.untried)}."


def idle_guardrails(system: System) -> frozenset[str]:
    """The kinds of guardrails for which no answer is ever better or worse."""
    return frozenset({"latency"} if has_fixed_price(system) else {"latency", "cost"})


def has_fixed_price(system: System) -> bool:
    """Whether answers cost something beside their time."""
    return bool(system.price.decision or any(candidate.price for candidate in system.candidates))

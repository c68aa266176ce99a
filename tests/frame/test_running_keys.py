"""The keys about a running system: each reaches its record, each wrong one is named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kring.errors import ConfigError
from kring.frame.read import read
from kring.record.running import (
    Drills,
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
from kring.record.version import Price

SAMPLE = Path(__file__).parent / "samples" / "running.toml"
HOUR = 3_600_000_000
DAY = 24 * HOUR


def test_how_a_version_comes_to_answer_reaches_the_record() -> None:
    assert read(SAMPLE).rollout == RolloutPlan(
        shadow_us=2 * DAY,
        steps=(1, 5, 20, 50),
        bake_us=3 * DAY,
        guardrails=("error", "latency", "outcome"),
        alpha=0.1,
        beta=0.02,
        floor=0.01,
        min_units=300,
        sticky="rollout",
        step_us=7 * DAY,
        holdback=0.1,
        delta=0.02,
        label_after_us=2 * HOUR,
    )


def test_how_it_is_watched_and_learned_from_reaches_the_record() -> None:
    system = read(SAMPLE)
    assert system.watch == Watch(
        drift=0.05,
        alpha=0.01,
        horizon=365,
        season="hour_of_week",
        outliers=0.1,
        cost=0.25,
        latency_ms=80.0,
        queries=True,
        probes=ProbesPlan(file="probes.jsonl", every_us=6 * HOUR),
    )
    assert system.learn == Learn(
        retrain_on=("contract", "quality", "drift", "schedule"),
        cron="0 3 * * 1",
        cooldown_us=2 * DAY,
        trainings=3,
        budget_us=14 * DAY,
        ask=True,
        trusted="trusted.parquet",
        review=Review(share=0.01, uncertain=True, flagged=True, disagreeing=True, reviewers=2),
    )
    assert system.slo == Slo(availability=0.999, latency=0.99, latency_ms=50.0, success=0.95, over_us=14 * DAY)
    assert system.drills == Drills(names=("dead_worker", "bad_release"), every_us=30 * DAY)


def test_who_is_told_and_what_is_tried_reaches_the_record() -> None:
    system = read(SAMPLE)
    assert system.notify == (
        Notify(name="desk", to="webhook", url="https://desk.example.org/hook", secret="DESK_KEY"),
        Notify(
            name="night",
            to="mail",
            url="smtps://mail.example.org:465",
            least="page",
            recipients=("night@example.org",),
            sender="kring@example.org",
            inner=True,
        ),
    )
    rule = FlagRule(variant="warm", when='country == "NL"', share=0.5)
    assert system.flags == (
        Flag(
            name="tone",
            description="How letters begin",
            variants={"warm": "Dear", "plain": "Hello"},
            default="plain",
            off="plain",
            rules=(rule,),
        ),
    )
    assert system.trials == (
        Trial(
            name="letters",
            flag="tone",
            arms={"a": "plain", "b": "warm"},
            control="a",
            shares={"a": 0.75, "b": 0.25},
            alpha=0.01,
            least_units=50,
            most_units=100_000,
            most_us=30 * DAY,
            outcomes=(
                TrialOutcome(name="replied", within_us=3 * DAY),
                TrialOutcome(name="spent", kind="money", low=-10.0, high=500.0, within_us=14 * DAY, better="lower"),
            ),
        ),
    )


def test_what_answers_cost_reaches_the_record(tmp_path: Path) -> None:
    """A candidate's own price comes on top; what costs nothing has none."""
    system = read(SAMPLE)
    assert system.price == Price(decision=0.02, second=0.00003)
    bought = msgspec.structs.replace(system.baseline, price=0.1)
    assert system.price_of(bought) == Price(decision=0.02 + 0.1, second=0.00003)
    free = msgspec.structs.replace(system, price=Price())
    assert free.price_of(system.baseline) is None
    text = SAMPLE.read_text().replace("decision = 0.02\nsecond = 0.00003", "decision = 0\nsecond = 0.0")
    (tmp_path / "kring.toml").write_text(text.replace("cost = 0.25\n", ""))
    assert read(tmp_path / "kring.toml").price == Price()


WRONG = [
    ("decision = 0.02\n", "decision = -0.02\n", "price.decision"),
    ("decision = 0.02\n", "decision = nan\n", "price.decision"),
    ("decision = 0.02\n", "decision = 1e10\n", "price.decision"),
    ("decision = 0.02\n", 'decision = "0.02"\n', "price.decision"),
    ("decision = 0.02\n", "decision = true\n", "price.decision"),
    ("second = 0.00003", "second = inf", "price.second"),
    ("second = 0.00003", "outputs = { tokens = 0.000002 }", "price.outputs"),
    ("decision = 0.02\nsecond = 0.00003", "decision = 0.0", "watch.cost"),
    ("baseline = true\n", "baseline = true\nprice = -1\n", "candidate[0].price"),
    ("baseline = true\n", "baseline = true\nprice = { decision = 1 }\n", "candidate[0].price"),
    ("steps = [1, 5, 20, 50]", "steps = [5, 1]", "rollout.steps"),
    ("steps = [1, 5, 20, 50]", "steps = [50, 97]\nholdback = 0.05", "rollout.holdback"),
    ("alpha = 0.1\n", "alpha = 1.5\n", "rollout.alpha"),
    ("alpha = 0.1\n", "alpha = 0.0\n", "rollout.alpha"),
    ("alpha = 0.1\n", "alpha = -0.1\n", "rollout.alpha"),
    ("alpha = 0.1\n", "alpha = nan\n", "rollout.alpha"),
    ("alpha = 0.1\n", 'alpha = "0.1"\n', "rollout.alpha"),
    ("steps = [1, 5, 20, 50]", "steps = [1, 5, 5]", "rollout.steps[2]"),
    ("steps = [1, 5, 20, 50]", "steps = [0, 5]", "rollout.steps[0]"),
    ("steps = [1, 5, 20, 50]", "steps = [5, 101]", "rollout.steps[1]"),
    ("steps = [1, 5, 20, 50]", "steps = [0.5]", "rollout.steps[0]"),
    ('guardrails = ["error", "latency", "outcome"]', 'guardrails = ["error", "error"]', "rollout.guardrails[1]"),
    ('guardrails = ["error", "latency", "outcome"]', 'guardrails = ["abstention"]', "rollout.guardrails[0]"),
    ('sticky = "rollout"', 'sticky = "week"', "rollout.sticky"),
    ('guardrails = ["error", "latency", "outcome"]', 'guardrails = ["eror"]', "rollout.guardrails[0]"),
    ('cron = "0 3 * * 1"', 'cron = "daily"', "learn.cron"),
    ('cron = "0 3 * * 1"', 'cron = "0 0 30 2 *"', "learn.cron"),
    ('cron = "0 3 * * 1"', 'cron = "0 3 * * 1"\nevery = "7d"', "learn.cron"),
    ('url = "https://desk.example.org/hook"', 'url = "ftp://desk.example.org"', "notify[0].url"),
    ('url = "smtps://mail.example.org:465"', 'url = "https://mail.example.org"', "notify[1].url"),
    ('sender = "kring@example.org"\n', "", "notify[1]"),
    ('name = "night"', 'name = "desk"', "notify[1].name"),
    ('secret = "DESK_KEY"', 'secret = "my secret!"', "notify[0].secret"),
    ('default = "plain"', 'default = "plan"', "flag[0].default"),
    ('variant = "warm"', 'variant = "wram"', "flag[0].rule[0].variant"),
    ('plain = "Hello" }', "plain = 3 }", "flag[0].variants"),
    ("share = 0.5", "share = 1.5", "flag[0].rule[0].share"),
    ('control = "a"', 'control = "z"', "trial[0].control"),
    ('flag = "tone"', 'flag = "tune"', "trial[0].flag"),
    ("shares = { a = 0.75, b = 0.25 }", "shares = { a = 0.75, b = 0.5 }", "trial[0].shares"),
    ("low = -10.0", "low = 900.0", "trial[0].outcome[1]"),
    ('names = ["dead_worker", "bad_release"]', 'names = ["dead_woker"]', "drill.names[0]"),
    ("availability = 0.999", "availability = 99.9", "slo.availability"),
]


@pytest.mark.parametrize(("old", "new", "key"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    text = SAMPLE.read_text()
    assert text.count(old) == 1, old
    (tmp_path / "kring.toml").write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "kring.toml")
    assert [fault.key for fault in caught.value.faults] == [key]
    assert all(fault.line for fault in caught.value.faults)

"""What a trial says: who counts when, what is proven, what keeps anybody from concluding."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kring.ports.trials import Exposed, Report
from kring.record.running import Trial, TrialOutcome
from kring.record.trial import TrialRun, TrialSeen
from kring.release.trials import see

WITHIN = 1000
BOUGHT = TrialOutcome(name="bought", within_us=WITHIN)
LATER = 10**9


def run_of(*outcomes: TrialOutcome, arms: int = 2, **changes: object) -> TrialRun:
    names = "abcdef"[:arms]
    terms = Trial(
        name="t",
        flag="f",
        arms={name: name for name in names},
        control="a",
        shares=dict.fromkeys(names, 1 / arms),
        outcomes=outcomes or (BOUGHT,),
        least_units=10,
    )
    terms = msgspec.structs.replace(terms, **changes)
    return TrialRun(id="tr_1", name="t", terms=terms, salt="s", state="running", started=0, by="test")


def people(n: int, *, arms: int = 2, seed: int = 0, shares: list[float] | None = None) -> list[Exposed]:
    placed = np.random.default_rng(seed).choice(arms, size=n, p=shares)
    return [Exposed(f"u{number:05}", "abcdef"[arm], number) for number, arm in enumerate(placed)]


def buying(exposed: list[Exposed], chances: dict[str, float], *, seed: int = 1) -> list[Report]:
    """Only those who buy are heard of."""
    draws = np.random.default_rng(seed).random(len(exposed))
    return [
        Report(one.unit, "bought", 1.0, one.at + 1)
        for one, draw in zip(exposed, draws, strict=True)
        if draw < chances[one.arm]
    ]


def finding(seen: TrialSeen, arm: str = "b") -> str:
    return next(one.finding for one in seen.outcomes[0].compared if one.arm == arm)


def test_a_better_arm_is_proven_and_the_trial_stops() -> None:
    exposed = people(4000)
    seen = see(run_of(), exposed, buying(exposed, {"a": 0.1, "b": 0.2}), now=LATER)
    assert (finding(seen), seen.stops, seen.brakes) == ("better", "b is proven better than a", ())
    (one,) = seen.outcomes[0].compared
    assert 0 < one.low <= one.difference <= one.high
    assert one.lift_low is not None
    assert one.lift_low > 0
    assert "better, proven at 95 % however often one looks" in seen.words[0]
    worse = see(run_of(), exposed, buying(exposed, {"a": 0.2, "b": 0.1}), now=LATER)
    assert (finding(worse), worse.stops) == ("worse", "b is proven worse than a")


def test_where_less_is_better() -> None:
    left = msgspec.structs.replace(BOUGHT, better="lower")
    exposed = people(4000)
    said = {one.unit for one in buying(exposed, {"a": 0.2, "b": 0.1})}
    reports = [Report(one.unit, "bought", float(one.unit in said), one.at + 1) for one in exposed]
    assert finding(see(run_of(left), exposed, reports, now=LATER)) == "better"


def test_silence_is_no_success_where_less_is_better() -> None:
    left = msgspec.structs.replace(BOUGHT, better="lower")
    exposed = people(1000)
    heard = [Report(one.unit, "bought", 1.0, one.at + 1) for one in exposed if one.arm == "a"]
    seen = see(run_of(left), exposed, heard, now=LATER)
    assert (finding(seen), seen.stops) == ("void", "")
    assert set(seen.brakes) >= {"no_data"}


def test_a_unit_counts_once_its_time_has_passed() -> None:
    exposed = people(300)
    everybody = buying(exposed, {"a": 1, "b": 1})
    seen = see(run_of(), exposed, everybody, now=99 + WITHIN)
    assert sum(arm.units for arm in seen.outcomes[0].arms) == 100
    assert seen.handled.waiting == 200
    late = [Report(one.unit, "bought", 1.0, one.at + WITHIN + 1) for one in exposed]
    assert see(run_of(), exposed, late, now=LATER).handled.outside == 300


def test_the_last_word_counts_and_is_counted() -> None:
    exposed = people(50)
    yes, no = Report("u00001", "bought", 1.0, 5), Report("u00001", "bought", 0.0, 6)
    seen = see(run_of(), exposed, [yes, no, yes, no, Report("stranger", "bought", 1.0, 5)], now=LATER)
    handled = seen.handled
    assert (handled.counted, handled.corrected, handled.unknown) == (1, 3, 1)
    assert all(not arm.mean for arm in seen.outcomes[0].arms)
    moved = Report("u00001", "bought", 1.0, WITHIN + 2)
    assert see(run_of(), exposed, [yes, moved], now=LATER).handled.outside == 1


def test_who_is_seen_twice_counts_in_the_first_arm() -> None:
    exposed = [*people(100), Exposed("u00000", "a", 500), Exposed("u00000", "b", 501), Exposed("u00003", "zz", 1)]
    seen = see(run_of(), exposed, [], now=LATER)
    assert sum(seen.split.units.values()) == 100
    assert seen.handled.in_two_arms == 1
    assert any("seen in two arms" in words for words in seen.words)


def test_a_wrong_split_stops_all_conclusions() -> None:
    exposed = people(6000, shares=[0.45, 0.55])
    seen = see(run_of(), exposed, buying(exposed, {"a": 0.1, "b": 0.3}), now=LATER)
    assert (seen.brakes, finding(seen), seen.stops) == (("split",), "void", "")
    assert "did not get their shares" in seen.words[0]
    [brake] = seen.on
    assert (brake.brake, "where 3,000 were planned" in brake.why, "start it again" in brake.todo) == (
        "split",
        True,
        True,
    )
    assert exposed[0].at < brake.since < exposed[-1].at, "it took some units to be seen"
    both = see(run_of(), exposed, [], now=LATER).on
    assert [("goes on by itself" in one.todo) for one in both] == [False, False], "nothing can be made of it any more"
    before = [one for one in exposed if one.at < brake.since - (exposed[-1].at - exposed[0].at) // 32]
    assert see(run_of(), before, [], now=LATER).brakes != ("split",)


def test_a_table_and_a_trial_that_is_over_have_brakes_without_advice() -> None:
    exposed = people(6000, shares=[0.45, 0.55])
    assert see(run_of(), exposed, [], now=LATER, is_table=True).on == ()


def test_outcomes_that_are_lost_in_one_arm_stop_all_conclusions() -> None:
    liked = TrialOutcome(name="bought", kind="score", high=5, within_us=WITHIN)
    exposed = people(6000)
    draws = np.random.default_rng(2).random(6000)
    reports = [
        Report(one.unit, "bought", 4.0, one.at + 1)
        for one, draw in zip(exposed, draws, strict=True)
        if draw < (0.8 if one.arm == "a" else 0.6)
    ]
    seen = see(run_of(liked), exposed, reports, now=LATER)
    assert (seen.brakes, finding(seen)) == (("coverage",), "void")
    [brake] = seen.on
    assert "of 3,0" in brake.why or "of 2,9" in brake.why
    assert "% of" in brake.why
    assert exposed[0].at + WITHIN < brake.since <= exposed[-1].at + WITHIN


def test_no_reports_at_all_are_no_result() -> None:
    seen = see(run_of(), people(500), [], now=LATER)
    assert (seen.brakes, finding(seen)) == (("no_data",), "void")
    [brake] = seen.on
    assert "was not reported of any" in brake.why
    assert people(500)[0].at + WITHIN <= brake.since <= people(500)[-1].at + WITHIN
    early = see(run_of(), people(500), [], now=3)
    assert (early.brakes, finding(early)) == ((), "open")


def test_too_few_units_prove_nothing() -> None:
    exposed = people(600)
    seen = see(run_of(least_units=400), exposed, buying(exposed, {"a": 0.01, "b": 0.9}), now=LATER)
    assert (finding(seen), seen.stops) == ("open", "")
    assert "too few units" in seen.words[0]


def test_it_ends_when_it_is_full_or_over_and_everybody_had_their_time() -> None:
    exposed = people(2000)
    reports = buying(exposed, {"a": 0.1, "b": 0.1})
    full = run_of(most_units=1000)
    assert see(full, exposed, reports, now=999 + WITHIN - 1).stops == ""
    seen = see(full, exposed, reports, now=999 + WITHIN)
    assert seen.stops == "1,000 units were assigned, and their time has passed"
    assert sum(seen.split.units.values()) == 1000
    over = run_of(most_us=500)
    assert see(over, exposed, reports, now=500 + WITHIN - 1).stops == ""
    assert see(over, exposed, reports, now=500 + WITHIN).stops == "its time is over, and that of everybody in it"
    stopped = msgspec.structs.replace(run_of(), state="stopped", ended=700)
    seen = see(stopped, exposed, reports, now=LATER)
    assert sum(arm.units for arm in seen.outcomes[0].arms) == 700, "who was in goes on to count, and nobody else"
    assert seen.stops == ""


def test_several_arms_share_the_risk_and_one_winner_is_enough() -> None:
    exposed = people(9000, arms=3)
    seen = see(run_of(arms=3), exposed, buying(exposed, {"a": 0.1, "b": 0.1, "c": 0.2}), now=LATER)
    assert seen.outcomes[0].alpha == pytest.approx(0.025)
    assert (finding(seen, "b"), finding(seen, "c"), seen.stops) == ("open", "better", "c is proven better than a")
    one_is_worse = see(run_of(arms=3), exposed, buying(exposed, {"a": 0.2, "b": 0.2, "c": 0.1}), now=LATER)
    assert (finding(one_is_worse, "c"), one_is_worse.stops) == ("worse", "")


def test_money_is_cut_at_its_most() -> None:
    spent = TrialOutcome(name="spent", kind="money", low=0, high=100, within_us=WITHIN)
    exposed = people(2000)
    draws = np.random.default_rng(3).exponential(20, 2000)
    reports = [
        Report(one.unit, "spent", float(draw) * (1 if one.arm == "a" else 2), one.at)
        for one, draw in zip(exposed, draws, strict=True)
    ]
    seen = see(run_of(spent), exposed, [*reports, Report("u00000", "spent", 1e12, 1)], now=LATER)
    assert finding(seen) == "better"
    assert all(arm.mean is not None and 0 < arm.mean < 100 and arm.high <= 100 for arm in seen.outcomes[0].arms)


@settings(max_examples=10)
@given(st.randoms(use_true_random=False), st.integers(0, 100))
def test_the_order_in_which_things_are_heard_changes_nothing(random, seed: int) -> None:
    exposed = people(150, seed=seed)
    reports = buying(exposed, {"a": 0.3, "b": 0.5})
    expected = see(run_of(), exposed, reports, now=LATER)
    for things in (exposed, reports):
        random.shuffle(things)
    assert see(run_of(), [*exposed, *exposed], [*reports, *reports], now=LATER) == expected


def test_however_often_one_looks_nothing_is_found_where_there_is_nothing() -> None:
    """Both arms alike, a look at each sixth of the way: at most α of the trials ever find something, and the true
    difference lies in every interval of at least 1 − α of them."""
    trials, units, wrong, out = 30, 1500, 0, 0
    for seed in range(trials):
        exposed = people(units, seed=seed)
        reports = buying(exposed, {"a": 0.2, "b": 0.2}, seed=1000 + seed)
        looks = [see(run_of(), exposed, reports, now=at + WITHIN) for at in range(250, units + 1, 250)]
        wrong += any(finding(seen) in ("better", "worse") for seen in looks)
        out += any(not one.low <= 0 <= one.high for seen in looks for one in seen.outcomes[0].compared)
    assert wrong <= out <= 5, "α = 0.05 of 30 are 1.5; 6 or more would be once in 300 such tests if α were reached"

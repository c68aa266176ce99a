from __future__ import annotations

from collections.abc import Sequence
from math import log
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.errors import DataError
from kring.record.progress import Arms, Cohort, Counted, Counts, Judged, Look, Progress
from kring.record.rollout import Guardrail, Route, Terms
from kring.record.running import GuardrailKind
from kring.release.judging import advanced, judged, paired_advanced, paired_look, started
from kring.release.looks import merged


def guardrail(name: str, route: Route, *, kind: GuardrailKind = "error", limits: tuple[float, ...] = ()) -> Guardrail:
    return Guardrail(name=name, kind=kind, route=route, limits=limits)


def terms(*guardrails: Guardrail, steps: tuple[int, ...] = (1, 5, 20, 50)) -> Terms:
    margins = {1: 2.0, 5: 2.0, 20: 1.5, 50: 1.25}
    return Terms(
        unit="request",
        salt="",
        steps=steps,
        margins=tuple(margins[step] for step in steps),
        alpha=0.05,
        beta=0.05,
        floor=0.005,
        delta=0.01,
        holdback=0.05,
        min_units=500,
        shadow_us=0,
        step_us=0,
        bake_us=0,
        guardrails=guardrails,
        config="",
        at=0,
    )


ERROR = guardrail("error", "relative")
FALLBACK = guardrail("fallback", "absolute", kind="fallback")
LATENCY = guardrail("latency", "relative", kind="latency", limits=(0.01, 0.05, 0.2))
OUTCOME = guardrail("outcome", "paired", kind="outcome")
ALL = terms(ERROR, FALLBACK, LATENCY)


def counts(new: int, old: int, new_bad: int, old_bad: int, *, batch: int = 0) -> Counts:
    """A batch of requests: complete at once."""
    return Counts(
        cohorts=(Cohort(batch, new, old, new_bad, old_bad),),
        new_good=new - new_bad,
        new_bad=new_bad,
        old_good=old - old_bad,
        old_bad=old_bad,
    )


def look(batch: int, share: float, several: dict[str, Sequence[Counts]], *, new: int, old: int) -> Look:
    return Look(
        batch=batch,
        units=(new, old),
        arms=(Arms(share, new, old),),
        guardrails=tuple(Counted(name=name, parts=tuple(parts)) for name, parts in several.items()),
    )


def drawn(
    batches: int, *, share: float, new_rate: float, old_rate: float, seed: int = 1, name: str = "error"
) -> list[Look]:
    generator = np.random.default_rng(seed)
    looks = []
    for batch in range(batches):
        new = int(generator.binomial(100, share))
        bad = int(generator.binomial(new, new_rate)), int(generator.binomial(100 - new, old_rate))
        looks.append(look(batch, share, {name: [counts(new, 100 - new, *bad, batch=batch)]}, new=new, old=100 - new))
    return looks


def after(looks: Sequence[Look], rules: Terms) -> Progress:
    progress = started("ro_1", rules)
    for each in looks:
        progress = advanced(progress, each, rules)
    return progress


UNITS = st.tuples(st.integers(0, 30), st.integers(0, 30)).flatmap(
    lambda units: st.tuples(*map(st.just, units), st.integers(0, units[0]), st.integers(0, units[1]))
)


@st.composite
def looks_of(draw: st.DrawFn, *, batches: int = 5) -> list[Look]:
    """Looks at a few batches, each with cohorts of several batches, several limits, shares and labels."""
    found = []
    for batch in range(draw(st.integers(1, batches))):
        cohort = st.builds(lambda number, units: Cohort(number, *units), st.integers(0, batch), UNITS)
        several = st.builds(
            lambda cohorts, good, bad: Counts(cohorts=tuple(cohorts), new_good=good, new_bad=bad),
            st.lists(cohort, max_size=3, unique_by=lambda each: each.batch),
            st.integers(0, 50),
            st.integers(0, 3),
        )
        found.append(
            Look(
                batch=batch,
                arms=tuple(
                    draw(st.lists(st.builds(Arms, st.sampled_from([0.05, 0.2]), *[st.integers(0, 50)] * 2), max_size=2))
                ),
                guardrails=(
                    Counted(name="error", parts=(draw(several),)),
                    Counted(name="latency", parts=tuple(draw(several) for _ in range(3))),
                ),
                coverage=tuple(draw(st.lists(cohort, max_size=2, unique_by=lambda each: each.batch))),
            )
        )
    return found


@given(looks_of(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_looks_change_nothing(looks: list[Look], chance: Random) -> None:
    twice = [*looks, *looks]
    chance.shuffle(twice)
    one, other = after(looks, ALL), after(twice, ALL)
    assert one == other
    for step in (0, 1, 5, 20, 50, 100):
        assert judged(one, ALL, step=step) == judged(other, ALL, step=step)


def halves(each: Look, chance: Random) -> tuple[Look, Look]:
    """The same units counted by two replicas: each unit by one of them."""

    def cohort(whole: Cohort) -> tuple[Cohort, Cohort]:
        bad = [chance.randint(0, whole.new_bad), chance.randint(0, whole.old_bad)]
        new = bad[0] + chance.randint(0, whole.new - whole.new_bad)
        old = bad[1] + chance.randint(0, whole.old - whole.old_bad)
        there = Cohort(whole.batch, new, old, *bad)
        return there, Cohort(
            whole.batch, whole.new - new, whole.old - old, whole.new_bad - bad[0], whole.old_bad - bad[1]
        )

    def count(whole: Counts) -> tuple[Counts, Counts]:
        pairs = [cohort(each) for each in whole.cohorts]
        good, bad = chance.randint(0, whole.new_good), chance.randint(0, whole.new_bad)
        return (
            Counts(cohorts=tuple(pair[0] for pair in pairs), new_good=good, new_bad=bad),
            Counts(
                cohorts=tuple(pair[1] for pair in pairs), new_good=whole.new_good - good, new_bad=whole.new_bad - bad
            ),
        )

    pairs = [(each.name, [count(part) for part in each.parts]) for each in each.guardrails]
    covered = [cohort(known) for known in each.coverage]
    arms = [(Arms(arm.share, arm.new // 2, 0), Arms(arm.share, arm.new - arm.new // 2, arm.old)) for arm in each.arms]
    one, other = (
        Look(
            batch=each.batch,
            arms=tuple(pair[side] for pair in arms),
            guardrails=tuple(Counted(name=name, parts=tuple(pair[side] for pair in parts)) for name, parts in pairs),
            coverage=tuple(pair[side] for pair in covered),
        )
        for side in (0, 1)
    )
    return one, other


@given(looks_of(), st.randoms(use_true_random=False))
def test_what_replicas_counted_is_what_one_would_have_counted(looks: list[Look], chance: Random) -> None:
    together = []
    for each in looks:
        parts = [*halves(each, chance)]
        chance.shuffle(parts)
        together.append(merged(parts))
    assert after(together, ALL) == after(looks, ALL)


@given(looks_of())
def test_progress_is_plain_json(looks: list[Look]) -> None:
    progress = after(looks, ALL)
    assert msgspec.json.decode(msgspec.json.encode(progress), type=Progress) == progress
    verdict = judged(progress, ALL, step=5)
    text = msgspec.json.encode(verdict)
    assert msgspec.json.decode(text, type=Judged) == verdict
    assert b"NaN" not in text
    assert b"null" not in text


def test_seen_batches_are_kept_as_ranges() -> None:
    looks = drawn(6, share=0.05, new_rate=0.01, old_rate=0.01)
    assert after([looks[0], looks[1], looks[4], looks[3]], ALL).seen == ((0, 1), (3, 4))
    assert after([looks[4], looks[2], looks[0], looks[1], looks[5], looks[3]], ALL).seen == ((0, 5),)


@pytest.mark.parametrize("step", [0, 1, 5, 20, 50, 100])
@pytest.mark.parametrize("rules", [ALL, terms(OUTCOME), terms()])
def test_without_data_nothing_advances(rules: Terms, step: int) -> None:
    """But a shadow that nothing has to be proven of: how long it lasts is a matter of the clock."""
    found = judged(started("ro_1", rules), rules, step=step)
    nothing_to_prove = step == 0 and rules is ALL
    assert found.verdict == ("advance" if nothing_to_prove else "wait")
    assert bool(found.missing) is not nothing_to_prove


def test_a_version_that_is_worse_is_rolled_back_and_named() -> None:
    found = judged(after(drawn(300, share=0.05, new_rate=0.04, old_rate=0.01), ALL), ALL, step=5)
    assert found.verdict == "roll_back"
    assert found.guilty == ("error",)
    assert "error got worse" in found.why
    assert "of 100" not in found.why, "how rarely that is wrong is said once, beside it"


def test_bad_units_are_told_with_all_among_which_they_were_found() -> None:
    """Also those that came so soon after a new share that they say nothing of the split."""
    looks = [msgspec.structs.replace(one, arms=()) for one in drawn(9, share=0.5, new_rate=0.5, old_rate=0.01)]
    progress = after(looks, ALL)
    new, old = progress.units
    assert new + old == 900
    found = judged(progress, ALL, step=50)
    assert f" bad of {new} units of the new version, " in found.why
    assert f" of {old} of the old one" in found.why


@pytest.mark.parametrize("brakes", [(), ("no_data",), ("clock", "read_only")])
def test_a_rollback_wins_over_brakes(brakes: tuple[str, ...]) -> None:
    progress = after(drawn(300, share=0.05, new_rate=0.04, old_rate=0.01), ALL)
    assert judged(progress, ALL, step=5, brakes=brakes).verdict == "roll_back"


def proven(rules: Terms, *, share: float = 0.05) -> Progress:
    return after(drawn(1000, share=share, new_rate=0.01, old_rate=0.01, seed=3), rules)


def test_what_is_proven_advances_and_a_brake_holds_it() -> None:
    rules = terms(ERROR)
    progress = proven(rules)
    assert judged(progress, rules, step=5).verdict == "advance"
    found = judged(progress, rules, step=5, brakes=["no_data"])
    assert (found.verdict, found.brakes, found.guilty) == ("hold", ("no_data",), ())
    assert "no data" in found.why


def test_a_proof_for_one_step_is_none_for_the_next() -> None:
    rules = terms(ERROR)
    found = judged(proven(rules), rules, step=20)
    assert found.verdict == "wait"
    assert found.missing[0] == "0 of 500 units of the new version at 20 %"


def test_one_guardrail_without_proof_keeps_all_waiting() -> None:
    rules = terms(ERROR, FALLBACK)
    found = judged(proven(rules), rules, step=5)
    assert found.verdict == "wait"
    (missing,) = found.missing
    assert missing.startswith(
        "fallback: proof that fewer than 0.50% of the new version's units are bad stands at 1 of 20"
    )


def test_the_absolute_route_needs_no_bad_unit_to_compare() -> None:
    rules = terms(FALLBACK)
    looks = drawn(200, share=0.05, new_rate=0.0, old_rate=0.0, name="fallback")
    assert judged(after(looks, rules), rules, step=5).verdict == "advance"
    relative = terms(guardrail("fallback", "relative", kind="fallback"))
    found = judged(after(looks, relative), relative, step=5)
    assert found.verdict == "wait"
    assert "nothing to compare" in found.missing[0]


def test_an_absolute_limit_that_cannot_be_met_says_so() -> None:
    rules = terms(FALLBACK)
    found = judged(after(drawn(200, share=0.05, new_rate=0.05, old_rate=0.05, name="fallback"), rules), rules, step=5)
    assert "no end in sight" in found.missing[-1]
    assert "declared by a limit" in found.missing[-1]


def test_each_limit_has_to_be_proven_by_itself() -> None:
    """A tail that is twice as long does not pass on the strength of an unchanged median."""
    generator = np.random.default_rng(5)
    rules = terms(LATENCY, steps=(5,))
    looks = []
    for batch in range(700):
        new = int(generator.binomial(100, 0.05))
        parts = []
        for new_rate, old_rate in ((0.5, 0.5), (0.1, 0.1), (0.015, 0.01)):
            bad = int(generator.binomial(new, new_rate)), int(generator.binomial(100 - new, old_rate))
            parts.append(counts(new, 100 - new, *bad, batch=batch))
        looks.append(look(batch, 0.05, {"latency": parts}, new=new, old=100 - new))
    found = judged(after(looks, rules), rules, step=5)
    assert found.verdict == "wait"
    assert found.standings[0].new_bad / found.standings[0].new_units == pytest.approx(0.015, abs=0.005)


def test_harm_is_judged_over_all_guardrails_together() -> None:
    alone, among_three = terms(ERROR), ALL
    looks = drawn(300, share=0.05, new_rate=0.04, old_rate=0.01)
    one, other = judged(after(looks, alone), alone, step=5), judged(after(looks, among_three), among_three, step=5)
    assert one.harm - other.harm == pytest.approx(log(3), abs=0.01)


def test_guilty_is_never_empty() -> None:
    """Two guardrails that are beyond the line only together: the worse one is named."""
    rules = terms(ERROR, FALLBACK)
    progress = started("ro_1", rules)
    parts = [part.parts[0] for part in progress.guardrails]
    harms = (log(24.0), log(18.0))
    progress = msgspec.structs.replace(
        progress,
        guardrails=tuple(
            msgspec.structs.replace(each, parts=(msgspec.structs.replace(part, harm=(harm,) * len(part.harm)),))
            for each, part, harm in zip(progress.guardrails, parts, harms, strict=True)
        ),
    )
    found = judged(progress, rules, step=5)
    assert (found.verdict, found.guilty) == ("roll_back", ("error",))


def test_smoke_only_asks_for_units() -> None:
    rules = terms(ERROR, FALLBACK)
    few, enough = (after(drawn(n, share=0.01, new_rate=0.01, old_rate=0.01), rules) for n in (150, 250))
    assert judged(few, rules, step=1).verdict == "wait"
    assert judged(enough, rules, step=1).verdict == "advance"
    assert judged(enough, rules, step=1).why == "no smoke at 1 %"


def test_while_it_bakes_harm_still_counts() -> None:
    rules = terms(ERROR)
    good = after(drawn(20, share=0.95, new_rate=0.01, old_rate=0.01), rules)
    assert judged(good, rules, step=100).verdict == "advance"
    bad = after(drawn(200, share=0.95, new_rate=0.05, old_rate=0.01), rules)
    assert judged(bad, rules, step=100).verdict == "roll_back"


def test_units_that_are_split_otherwise_than_planned_brake() -> None:
    rules = terms(ERROR)
    looks = [look(batch, 0.05, {}, new=8, old=92) for batch in range(100)]
    found = judged(after(looks, rules), rules, step=5)
    assert (found.verdict, found.brakes) == ("hold", ("split",))
    assert "800 of 10,000 went to the new version, planned were 500" in found.why


def test_labels_that_come_unevenly_brake() -> None:
    rules = terms(ERROR)
    looks = [Look(batch=batch, coverage=(Cohort(batch, 20, 80, 20, 64),)) for batch in range(60)]
    found = judged(after(looks, rules), rules, step=20)
    assert (found.verdict, found.brakes) == ("hold", ("coverage",))
    assert "100.0% for the new one, 80.0% for the old one" in found.why


def test_several_shares_in_one_batch_keep_their_plans() -> None:
    rules = terms(ERROR)
    looks = [Look(batch=batch, arms=(Arms(0.05, 5, 95), Arms(0.2, 20, 80))) for batch in range(500)]
    found = after(looks, rules)
    assert found.arms == (Arms(0.05, 2500, 47_500), Arms(0.2, 10_000, 40_000))
    assert judged(found, rules, step=20).brakes == ()


def test_a_paired_shadow_clears_what_the_steps_would_wait_for() -> None:
    rules = terms(OUTCOME)
    generator = np.random.default_rng(2)
    progress = started("ro_1", rules)
    assert judged(progress, rules, step=0).verdict == "wait"
    for batch in range(60):
        rows = generator.choice([-1.0, 0.0, 1.0], size=100, p=[0.02, 0.96, 0.02])
        progress = paired_advanced(progress, paired_look(batch, rows, rules))
        progress = paired_advanced(progress, paired_look(batch, rows, rules))
    assert (progress.paired_rows, progress.paired_seen) == (6000, ((0, 59),))
    assert judged(progress, rules, step=0).verdict == "advance"
    assert judged(progress, rules, step=5).missing == ("0 of 500 units of the new version at 5 %",)


def test_a_shadow_that_is_worse_by_more_than_it_may_be_is_found_guilty() -> None:
    """Also by a look that comes twice, among other guardrails, and in a rollout from before harm was counted."""
    rules = terms(ERROR, OUTCOME)
    look_ = paired_look(0, [0.0] * 9_000 + [1.0] * 300, rules)
    for begun in (started("ro_1", rules), msgspec.structs.replace(started("ro_1", rules), paired_harm=())):
        progress = paired_advanced(paired_advanced(begun, look_), look_)
        found = judged(progress, rules, step=0, brakes=("no_data",))
        assert (found.verdict, found.guilty) == ("roll_back", ("outcome",))
        assert "on 9,300 rows that both versions judged the new one was worse by 3.23%" in found.why
    assert judged(msgspec.structs.replace(progress, paired_harm=()), rules, step=0).verdict == "wait"


def test_a_shadow_that_is_at_its_limit_is_neither_cleared_nor_given_up() -> None:
    rules = terms(OUTCOME)
    progress = paired_advanced(started("ro_1", rules), paired_look(0, [0.0] * 9_207 + [1.0] * 93, rules))
    found = judged(progress, rules, step=0)
    assert found.verdict == "wait"
    assert "worse by less than 1.00% of the largest loss" in found.missing[0]
    assert "9,300 shadowed rows" in found.missing[0]


@pytest.mark.parametrize(
    "counted",
    [
        Counted(name="money", parts=(Counts(),)),
        Counted(name="latency", parts=(Counts(),)),
        Counted(name="error", parts=()),
        Counted(name="error", parts=(Counts(cohorts=(Cohort(0, 5, 5, 6, 0),)),)),
        Counted(name="error", parts=(Counts(cohorts=(Cohort(0, -5, 5, 0, 0),)),)),
    ],
)
def test_counts_that_do_not_belong_are_refused(counted: Counted) -> None:
    with pytest.raises(DataError):
        advanced(started("ro_1", ALL), Look(batch=0, guardrails=(counted,)), ALL)


@pytest.mark.parametrize("looks", [[], [Look(batch=1), Look(batch=2)]])
def test_only_looks_at_one_batch_are_merged(looks: list[Look]) -> None:
    with pytest.raises(DataError, match="merged"):
        merged(looks)

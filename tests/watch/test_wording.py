"""Alarms in words: nobody who is woken has to look up a name, a number or an id."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import msgspec
import pytest

import kring.tasks
from kring.charts.versions import Answered, Versions, answered, roles_of, told_answered, with_roles
from kring.charts.words import WIDTH, lines
from kring.experiment.evidence import MEASURES
from kring.flow.operator.alarms import OF_METRIC, PROPOSALS
from kring.record.alarm import Alarm, AlarmKind, Breach, Effect
from kring.record.rollout import Pointer, Rollout
from kring.watch import wording
from kring.watch.alarms import found_again, handled, opened_again
from kring.watch.meaning import LIFT, METRICS, UNTOUCHED, better, limit_words, means, metric_words

AT = "with a threshold of about 0.28 instead of today's 0.19"
HOUR = 3_600_000_000
DAY = 24 * HOUR
NOW = 1_700_000_000_000_000
KINDS: tuple[AlarmKind, ...] = get_args(AlarmKind)
POINTER = Pointer(system="loans", live="v_1", previous="v_0", generation=2, rollout="ro_1", at=NOW)


def tasks() -> list[str]:
    return sorted(path.stem for path in Path(kring.tasks.__path__[0]).glob("*.py") if path.stem != "__init__")


def alarm(kind: AlarmKind = "calibration", metric: str = "calibration_error", **changes: object) -> Alarm:
    made = Alarm(
        id="a_1", system="loans", version="v_1", kind=kind, what="something moved", metric=metric, value=0.12, low=0.1,
        high=0.14, allowed=f"{metric} <= 0.05", rows=1234, since=NOW - HOUR, at=NOW, owner="Keeper", proposal="look",
        last=NOW, sure="very",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def told(one: Alarm, label: str) -> str:
    return dict(wording.facts(one, versions=Versions(roles=roles_of(POINTER, None))))[label]


@pytest.mark.parametrize("task", tasks())
def test_every_metric_has_plain_words_and_the_same_direction(task: str) -> None:
    for name, direction in import_module(f"kring.tasks.{task}").TASK.metrics.items():
        words = metric_words(name.replace("*", "yes"))
        assert words, f"{name} is not explained"
        assert name not in words, "a name does not explain itself"
        if not name.endswith("*"):
            assert better(name) == direction, name


def test_what_all_tasks_measure_is_explained_too() -> None:
    assert {name: better(name) for name in MEASURES} == dict(MEASURES)
    assert all(metric_words(name) for name in (*MEASURES, *METRICS))
    assert "the baseline" in metric_words(f"{LIFT}roc_auc")
    assert metric_words("fairness.demographic_parity_difference.sex").endswith("by sex in how often it says yes")
    assert metric_words("what_somebody_made_up") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_means_and_what_is_known_of_its_effect(kind: AlarmKind) -> None:
    one = alarm(kind, "something")
    assert len(means(one)) > 40
    assert told(one, "means") == means(one)
    assert told(one, "effect") == UNTOUCHED[kind]
    assert UNTOUCHED[kind].split()[0] in ("none", "none:", "not"), "an answer and its reason, no gap"
    assert ":" in UNTOUCHED[kind] or UNTOUCHED[kind].startswith("none"), kind
    head, facts = wording.block(one)
    assert all(len(line) <= WIDTH for line in [*head, *facts])


def test_an_id_says_what_the_version_is_now() -> None:
    held = Rollout(
        id="ro_1", system="loans", version="v_2", previous="v_1", state="held", before="shadow", seq=1, reason="",
        actor="operator", at=NOW, since=NOW,
    )  # fmt: skip
    canary = msgspec.structs.replace(POINTER, canary="v_2", share=0.05)
    baking = msgspec.structs.replace(POINTER, canary="v_0", share=0.05)
    assert roles_of(POINTER, held) == {"v_1": "live", "v_0": "previous", "v_2": "in shadow"}
    assert roles_of(canary, None)["v_2"] == "canary, 5 %"
    assert roles_of(baking, None)["v_0"] == "previous, keeps 5 %"
    assert roles_of(None, None) == {}
    gone = msgspec.structs.replace(held, state="rolled_back", before=None)
    said = with_roles("v_2 was rolled back, v_1 answers, v_2 not; v_1/baseline", roles_of(POINTER, gone))
    assert said == "v_2 (gone) was rolled back, v_1 (live) answers, v_2 not; v_1/baseline"
    assert with_roles("v_1", None) == "v_1"
    assert with_roles(said, roles_of(POINTER, gone)) == said, "nothing is said twice"
    assert told(alarm(), "of") == "version v_1 (live)"
    assert told(alarm(version="v_7"), "of") == "version v_7 (gone)"


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (Effect(metric="roc_auc", value=-0.02, low=-0.04, high=-0.01), "worse, roc_auc -0.02 (-0.04 to -0.01)"),
        (Effect(metric="brier", value=-0.02, low=-0.04, high=-0.01), "better, brier -0.02"),
        (Effect(metric="accuracy", value=-0.02, low=-0.04, high=0.01), "no clear change, accuracy -0.02"),
        (Effect(metric="own", value=-0.02, low=-0.04, high=0.01), ": own -0.02"),
        (Effect(metric="mae", value=1, low=0.5, high=2, money=3, currency="EUR"), "each decision costs 3 EUR more"),
        (Effect(money=-3.5), "each decision costs 3.5 less"),
        (Effect(conditions="too few labels"), "not estimated: too few labels"),
        (Effect(), "not estimated"),
    ],
)  # fmt: skip
def test_an_effect_says_whether_that_is_worse(effect: Effect, said: str) -> None:
    assert said in told(alarm("drift", "distribution", effect=effect), "effect")


def test_money_that_is_the_metric_is_said_once() -> None:
    lost = Effect(
        metric="expected_cost", value=0.3, low=0.2, high=0.4, money=0.3, currency="EUR", conditions="than at 0.3"
    )
    assert told(alarm(effect=lost), "effect") == "worse, each decision costs 0.3 EUR more (+0.2 to +0.4) than at 0.3"


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (Effect(metric="expected_cost", value=0.31, low=0.2, high=0.42, money=0.31, currency="EUR"),
         f"{AT}, each decision would cost 0.31 EUR less (0.2 to 0.42); tried on others"),
        (Effect(metric="expected_cost", value=0.31, low=-0.2, high=0.8, money=0.31),
         f"no clear change: {AT}, each decision would cost 0.31 less (-0.2 to 0.8); tried on others"),
        (Effect(metric="accuracy", value=-0.02, low=-0.03, high=-0.01),
         f"{AT}, accuracy higher by 0.02 (0.01 to 0.03); tried on others"),
    ],
)  # fmt: skip
def test_what_another_threshold_would_have_saved_is_one_sentence(effect: Effect, said: str) -> None:
    one = alarm(effect=msgspec.structs.replace(effect, conditions=f"{AT}; tried on others"))
    assert told(one, "effect") == said


def test_what_was_estimated_before_outcomes_says_so_and_of_what() -> None:
    effect = Effect(metric="roc_auc", value=-0.02, low=-0.04, high=-0.01)
    said = told(alarm("drift", "distribution", effect=effect), "effect")
    assert said.startswith("estimated for all that was found together (outcomes are not in yet), compared with its")
    assert told(alarm("quality", "roc_auc", effect=effect), "effect").startswith("compared with its tests")


def test_a_rollout_that_waits_says_that_nothing_is_known_of_its_answers() -> None:
    assert told(alarm("release", "held"), "effect").endswith("how well the new version answers is not known")
    assert told(alarm("release", "gate"), "effect") == UNTOUCHED["release"]


def test_commands_of_a_proposal_can_be_typed_where_one_stands() -> None:
    one = alarm(proposal="retrain (kring retrain --now); go back (kring rollback); see kring trace; kring key revoke")
    said = dict(wording.facts(one, folder="my/loans"))["do"]
    assert said == (
        "retrain (kring retrain my/loans --now); go back (kring rollback my/loans --reason '…'); see kring trace; "
        "kring key revoke"
    )
    assert dict(wording.facts(one))["do"] == one.proposal
    assert "kring retrain my/loans --now" in wording.text([one], folder="my/loans", machine="north", at=NOW)
    assert "On north:" in wording.text([one], folder="my/loans", machine="north")
    assert wording.text([one], at=NOW).startswith("As it was 2023-11-14 22:13 UTC:")


def test_a_number_stands_apart_from_its_sign() -> None:
    assert lines("12.0% (5%), a%20b and 7%.") == ["12.0 % (5 %), a%20b and 7 %."]


def test_limits_and_shares_are_said_in_words() -> None:
    assert told(alarm(), "measured") == "12.0 points (10.0 to 14.0 points) on 1,234 rows; allowed: at most 5 points"
    share = alarm("data_quality", "violations", value=0.125)
    assert told(share, "measured") == "violations 12.5 % (10.0 % to 14.0 %) on 1,234 rows; allowed: at most 5 %"
    assert limit_words("accuracy > 0.9", metric="accuracy") == "above 0.9"
    assert limit_words("48.0 % to 52.0 %", metric="distribution") == "48.0 % to 52.0 %"


def test_what_two_alarms_share_is_said_once() -> None:
    _, told = wording.block(alarm(feature="age"), like=alarm(feature="income"))
    assert told[-1] == "  as above  means, since, sure, measured, effect, owner, do, now, id"
    assert len(told) == 2


def test_what_to_do_can_be_typed() -> None:
    one, two = alarm(group="g_1"), alarm(id="a_2", group="g_1")
    assert wording.commands([one], folder="loans")[0].endswith("kring alarms ack a_1 loans")
    assert wording.commands([one, two])[0].endswith("kring alarms ack g_1")
    assert wording.commands([one, alarm(id="a_3")])[0].endswith("kring alarms ack ID")
    assert "kring alarms ack a_1" in wording.text([one])
    assert "nothing has to be done" in wording.text([alarm(state="resolved", ended=NOW)])


def test_a_way_back_that_is_closed_is_not_offered() -> None:
    one = alarm("quality", "roc_auc")
    assert any("kring rollback loans" in line for line in wording.commands([one], folder="loans"))
    told = wording.commands([one], folder="loans", no_way_back="the public key is missing")
    assert not any("kring rollback" in line for line in told)
    assert told[-1].strip() == "There is no way back now: the public key is missing"


def test_nothing_proposes_a_way_back_that_is_closed() -> None:
    """Of each proposal there is, the rest stays as it was."""
    closed, cut = Versions(no_way_back="there is no previous version to go back to"), 0
    for kind, proposal in PROPOSALS.items():
        assert dict(wording.facts(alarm(kind, proposal=proposal)))["do"] == proposal
        said = dict(wording.facts(alarm(kind, proposal=proposal), versions=closed))["do"]
        assert not re.search(r"\bback\b|rollback", said), said
        assert proposal.startswith(said)
        assert len(said) > 20
        cut += said != proposal
    assert cut == 5
    held = OF_METRIC["release/held"]
    assert dict(wording.facts(alarm("release", "held", proposal=held), versions=closed))["do"] == held
    one = alarm("quality", proposal=PROPOSALS["quality"])
    text = wording.text([one], versions=closed, folder="loans")
    assert "kring rollback" not in text
    assert "There is no way back now: there is no previous version to go back to" in text


def test_since_when_each_version_answers() -> None:
    """v_1 first, v_2 gets a share, then all of it, v_1 keeps a little; v_3 gets a share and is taken back."""
    steps = [("v_1", ""), ("v_1", "v_2"), ("v_1", "v_2"), ("v_2", "v_1"), ("v_2", ""), ("v_2", "v_3"), ("v_2", "")]
    pointers = [
        msgspec.structs.replace(POINTER, live=live, canary=canary, share=0.5, at=NOW + hour * HOUR)
        for hour, (live, canary) in enumerate(steps)
    ]
    hours = [NOW + hour * HOUR for hour in range(8)]
    assert answered([]) == {}
    assert answered(pointers[:1]) == {"v_1": Answered(since=hours[0], whole_since=hours[0])}
    assert answered(pointers[:2]) == {"v_1": Answered(since=hours[0]), "v_2": Answered(since=hours[1])}
    assert answered(pointers[:5]) == {
        "v_1": Answered(since=hours[0], until=hours[4]),
        "v_2": Answered(since=hours[1], whole_since=hours[4]),
    }
    assert answered(pointers)["v_3"] == Answered(since=hours[5], until=hours[6])
    back = msgspec.structs.replace(POINTER, live="v_1", at=hours[7])
    again = answered([*pointers, back])
    assert again["v_1"] == Answered(since=hours[7], whole_since=hours[7])
    assert again["v_2"] == Answered(since=hours[1], whole_since=hours[6], until=hours[7])
    assert told_answered(again["v_1"]) == "which answers since 2023-11-15 05:13 UTC"
    assert told_answered(again["v_3"]) == "which answered from 2023-11-15 03:13 UTC to 2023-11-15 04:13 UTC"


def test_an_alarm_says_since_when_its_version_answers() -> None:
    since = {"v_1": Answered(since=NOW, whole_since=NOW + HOUR)}
    versions = Versions(roles=roles_of(POINTER, None), answered=since)
    said = "version v_1 (live), which answers since 2023-11-14 22:13 UTC, everything since 2023-11-14 23:13 UTC"
    assert dict(wording.facts(alarm(), versions=versions))["of"] == said
    assert dict(wording.facts(alarm(feature="age"), versions=versions))["of"] == f"{said}; feature age"
    assert dict(wording.facts(alarm(version="v_0"), versions=versions))["of"] == "version v_0 (previous)"
    assert said in " ".join(wording.text([alarm()], versions=versions).split())


def test_when_it_began_and_when_somebody_did_something_are_two_moments() -> None:
    later = NOW + 2 * HOUR
    seen = handled(alarm(), "acknowledge", actor="ada", reason="on it", until=0, now=later)
    assert told(seen, "since").endswith("found 2023-11-14 22:13 UTC")
    assert told(seen, "now") == "acknowledged by ada at 2023-11-15 00:13 UTC: on it"
    assert handled(seen, "acknowledge", actor="ada", reason="on it", until=0, now=later + HOUR) is seen
    silent = handled(seen, "silence", actor="bob", reason="", until=later + DAY, now=later + HOUR)
    assert told(silent, "now") == "silent until 2023-11-16 00:13 UTC; silenced by bob at 2023-11-15 01:13 UTC"
    over = handled(silent, "resolve", actor="eve", reason="mended", until=0, now=later + DAY)
    assert told(over, "now") == "over since 2023-11-16 00:13 UTC by eve: mended"
    assert over.handled_at == later + DAY
    assert opened_again(silent).handled_at == 0
    assert told(msgspec.structs.replace(seen, handled_at=0), "now") == "acknowledged by ada: on it"


def test_a_rollout_that_waits_says_since_when_and_when_its_stage_began() -> None:
    said = told(alarm("release", "held"), "since")
    assert said == "it waits since 2023-11-14 22:13 UTC; the stage in which it waits began 2023-11-14 21:13 UTC"


def test_what_somebody_is_at_rings_again_only_if_it_can() -> None:
    page, ticket = (alarm(tier=tier, state="acknowledged") for tier in ("page", "ticket"))
    assert wording.what_follows(page).endswith("nobody is rung for it again: nothing is more urgent than a page.")
    assert wording.what_follows(ticket).endswith("rings again only if it gets more urgent.")


def test_moments_and_ids_stay_on_one_line() -> None:
    told = lines("x " * 30 + "2026-01-02 03:04 UTC " * 4 + "v_" + "A" * 120, first="  ", rest="    ")
    assert all(line.count("UTC") == line.count("2026-01-02 03:04 UTC") for line in told)
    assert any(line.strip() == "v_" + "A" * 120 for line in told)


def test_what_has_turned_was_found_before_it_became_what_it_is() -> None:
    """Warmer since June, colder since October, and never over between."""
    warmer = Breach(
        kind="drift", metric="below", value=0.1, low=0.08, high=0.12, allowed="", rows=100, since=NOW - DAY,
        what="warmer", feature="heat",
    )  # fmt: skip
    one = alarm("drift", "below", feature="heat", since=NOW - DAY, at=NOW, looked_at=NOW)
    again = found_again(one, warmer, tier="ticket", end=NOW + DAY, now=NOW + DAY)
    assert told(again, "since") == (
        "2023-11-13 22:13 UTC; found 2 times, first 2023-11-14 22:13 UTC, last 2023-11-15 22:13 UTC"
    )
    colder = msgspec.structs.replace(warmer, what="colder", since=NOW + 3 * DAY)
    turned = found_again(again, colder, tier="ticket", end=NOW + 4 * DAY, now=NOW + 4 * DAY)
    assert told(turned, "since") == (
        "2023-11-17 22:13 UTC as it is now; with what it was before found 3 times, first 2023-11-14 22:13 UTC, last"
        " 2023-11-18 22:13 UTC"
    )

"""Trials on a ledger and a log: terms that are frozen, exposures that are followed, reports that are looked over."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from flagged import write_flagged
from kring.decide.flags import arm_of
from kring.errors import Busy, DataError, NotFound, Refused
from kring.flow import adapters, history
from kring.flow.flags import evaluate
from kring.flow.forgetting import forget
from kring.flow.project import Project, open_project
from kring.flow.trial_reports import unit_names
from kring.flow.trials import (
    JUDGED_EVERY_US,
    file_outcomes,
    judge_trials,
    opened,
    report_outcomes,
    see_trial,
    start_trial,
    stop_trial,
    trials_of,
)
from kring.host.clock import SimulatedClock
from kring.record.alarm import Alarm
from kring.record.decision import Decisions
from kring.record.exposure import Exposure
from kring.record.operator import OperatorState
from kring.record.rollout import Pointer
from kring.record.trial import TrialReported, TrialRun
from kring.watch.wording import text
from systems import day, kring

HOUR = 3_600_000_000
NOW = day(100)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = open_project(write_flagged(tmp_path / "loans"))
    return replace(found, clock=SimulatedClock(NOW))


def later(project: Project, us: int) -> Project:
    return replace(project, clock=SimulatedClock(project.clock.now() + us))


def ask(project: Project, run: TrialRun, units: list[str], *, arm: str = "") -> dict[str, str]:
    """What a worker puts on record when these ask for the flag; the arm of each, which is `arm` where that is named."""
    arms = {unit: arm or arm_of(run, unit) for unit in units}
    log = adapters.free_writer(project.home.log, files=project.files, system="loans")
    n = len(units)
    log.append(
        Exposure(
            system="loans",
            at=project.clock.now(),
            generation=1,
            flags=["greeting"] * n,
            variants=[run.terms.arms[arms[unit]] for unit in units],
            reasons=["SPLIT"] * n,
            subjects=units,
            versions=[""] * n,
            trials=[f"{run.id}/{arms[unit]}" for unit in units],
        )
    )
    log.close()
    return arms


def bought(units: list[str], *, value: object = True, at: int = 0) -> list[TrialReported]:
    return [TrialReported(unit=unit, outcome="bought", value=value, at=at) for unit in units]


def test_from_start_to_conclusion(project: Project) -> None:
    run = start_trial(project, "greetings")
    arms = ask(project, run, [f"u{number}" for number in range(400)])
    ask(project, run, ["u1", "u2"])
    told = report_outcomes(project, "greetings", bought([u for u, arm in arms.items() if arm == "b"]), source="test")
    assert Counter(one.heard for one in told) == {"recorded": sum(arm == "b" for arm in arms.values())}
    _, seen = see_trial(project, "greetings")
    assert (seen.handled.waiting, sum(seen.split.units.values())) == (400, 400)
    after = later(project, HOUR + 30_000_000)
    judged = {project.system.name: after.clock.now() // JUDGED_EVERY_US}
    assert judge_trials(after, judged=judged) == [], "it is judged once a minute"
    (ended,) = judge_trials(later(after, 31_000_000), judged=judged)
    assert (ended.state, ended.why) == ("concluded", "b is proven better than a")
    assert trials_of(project)["greetings"] == ended
    assert judge_trials(later(after, 91_000_000), judged=judged) == []
    run, seen = see_trial(after, "greetings")
    assert (run.state, seen.outcomes[0].compared[0].finding) == ("concluded", "better")


def ringing(project: Project) -> dict[str, Alarm]:
    """What is open about trials, by its metric."""
    with project.ledger() as ledger:
        state = history.newest_with(ledger, OperatorState, "operator")
    return {alarm.metric: alarm for alarm in state.alarms if alarm.kind == "trial"} if state else {}


def test_an_end_by_rule_rings_until_the_trial_is_started_again(project: Project) -> None:
    run = start_trial(project, "greetings")
    arms = ask(project, run, [f"u{number}" for number in range(400)])
    report_outcomes(project, "greetings", bought([u for u, arm in arms.items() if arm == "b"]), source="test")
    judge_trials(project, judged={})
    assert ringing(project) == {}, "nothing is known before the time of the units has passed"
    after = later(project, HOUR + 60_000_000)
    (ended,) = judge_trials(after, judged={})
    (alarm,) = ringing(project).values()
    assert (alarm.metric, alarm.tier, alarm.slice) == ("ended", "note", "trial = greetings")
    assert alarm.what == f"the trial greetings is over: {ended.why}"
    told = " ".join(text([alarm]).split())
    assert "What it found is not put into force by itself" in told
    assert "kring trial list" in told
    judge_trials(later(after, 60_000_000), judged={})
    assert [*ringing(project)] == ["ended"]
    start_trial(later(after, 70_000_000), "greetings")
    judge_trials(later(after, 120_000_000), judged={})
    assert ringing(project) == {}


def test_a_wrong_split_rings_as_long_as_the_trial_runs(project: Project) -> None:
    run = start_trial(project, "greetings")
    ask(project, run, [f"u{number}" for number in range(400)], arm="a")
    for minute in range(3):
        assert judge_trials(later(project, minute * 60_000_000), judged={}) == []
    (alarm,) = ringing(project).values()
    assert (alarm.metric, alarm.count, alarm.state) == ("split", 1, "open")
    assert "a got 400 units where 200 were planned" in alarm.what
    assert "one trial in 1,000" in alarm.sure
    judge_trials(later(project, 2 * HOUR), judged={})
    assert ringing(project)["split"].count == 2
    stop_trial(project, "greetings", why="it assigns wrongly")
    judge_trials(later(project, 2 * HOUR + 60_000_000), judged={})
    assert ringing(project) == {}
    with project.ledger() as ledger:
        last = [one for one in history.all_of(ledger, Alarm) if one.id == alarm.id][-1]
    assert (last.state, last.action) == ("resolved", "the trial ended")


def test_an_arm_that_does_harm_rings_though_it_ends_nothing(project: Project) -> None:
    """They buy alike, but who is in b likes it far less."""
    run = start_trial(project, "greetings")
    arms = ask(project, run, [f"u{number}" for number in range(600)])
    says = [*bought([*arms][::2]), *bought([*arms][1::2], value=False)]
    says += [TrialReported(unit=u, outcome="liked", value=5 if arm == "a" else 1) for u, arm in arms.items()]
    report_outcomes(project, "greetings", says, source="test")
    after = later(project, HOUR + 60_000_000)
    assert judge_trials(after, judged={}) == []
    (alarm,) = ringing(project).values()
    assert (alarm.metric, alarm.feature) == ("worse", "b on liked")
    assert alarm.what.startswith("b does worse than a in the trial greetings: liked -4 (")
    assert "however often one looks" in alarm.sure


def test_whoever_is_at_the_operator_keeps_a_trial_only_for_a_moment(project: Project) -> None:
    """Nothing ends unheard: it is judged again when the other is done."""
    run = start_trial(project, "greetings")
    arms = ask(project, run, [f"u{number}" for number in range(400)])
    report_outcomes(project, "greetings", bought([u for u, arm in arms.items() if arm == "b"]), source="test")
    after, judged = later(project, HOUR + 60_000_000), dict[str, int]()
    with after.ledger() as ledger:
        ledger.lease("operator", holder="somebody", ttl=30.0, now=after.clock.now())
        with pytest.raises(Busy):
            judge_trials(after, judged=judged)
        assert see_trial(after, "greetings")[0].is_running
        ledger.lease("operator", holder="somebody", ttl=0.0, now=after.clock.now())
    assert [one.state for one in judge_trials(after, judged=judged)] == ["concluded"]
    assert [*ringing(project)] == ["ended"]


def test_no_minute_is_left_out_however_long_the_rest_takes(project: Project) -> None:
    """Whoever calls does other work between, so that the calls come at any moment of a minute, and never just at its
    beginning."""
    start_trial(project, "greetings")
    moments = [30_000_000 + call * 13_700_000 for call in range(60)]
    judged: dict[str, int] = {}
    minutes = set()
    for moment in moments:
        at = later(project, moment)
        assert judge_trials(at, judged=judged) == []
        minutes.add(judged[project.system.name] - at.clock.now() // JUDGED_EVERY_US)
    assert minutes == {0}


def test_terms_are_frozen_and_units_drawn_anew(project: Project) -> None:
    first = start_trial(project, "greetings")
    file = project.folder / "kring.toml"
    file.write_text(file.read_text().replace("least_units = 20", "least_units = 7"))
    again = replace(open_project(project.folder), clock=project.clock)
    assert see_trial(again, "greetings")[0].terms.least_units == 20
    with pytest.raises(Refused, match="the trial greetings runs"):
        start_trial(again, "greetings")
    stop_trial(again, "greetings", why="a typing error")
    with pytest.raises(Refused, match="does not run"):
        stop_trial(again, "greetings", why="twice")
    second = start_trial(later(again, 5), "greetings")
    assert (second.terms.least_units, second.id != first.id, second.salt != first.salt) == (7, True, True)
    assert see_trial(again, "greetings")[0].id == second.id


def test_a_running_trial_answers_and_a_stopped_one_does_not(project: Project) -> None:
    run = start_trial(project, "greetings")
    for number in range(30):
        found = evaluate(project, "greeting", {"targetingKey": f"u{number}"})
        assert (found.trial, found.arm) == ("greetings", arm_of(run, f"u{number}"))
    assert evaluate(project, "greeting", {"targetingKey": "u", "plan": "pro", "age": 20}).trial == ""
    stop_trial(project, "greetings", why="enough")
    assert evaluate(project, "greeting", {"targetingKey": "u"}).reason == "DEFAULT"


@pytest.mark.parametrize(
    ("outcome", "value", "at", "reason"),
    [
        ("bought", "perhaps", 0, "is true or false"),
        ("bought", 2, 0, "is true or false"),
        ("bought", None, 0, "is true or false"),
        ("bought", [True], 0, "is true or false"),
        ("spent", True, 0, "is a number"),
        ("spent", "1_000", 0, "is a number"),
        ("spent", float("nan"), 0, "is a number"),
        ("spent", "inf", 0, "is a number"),
        ("spent", 10**400, 0, "is a number"),
        ("spent", -1, 0, "is at least 0"),
        ("liked", 0.5, 0, "is at least 1"),
        ("liked", 6, 0, "is at most 5"),
        ("born", 1, 0, "no such outcome; it has bought, spent, liked"),
        ("bought", True, NOW + 10 * HOUR, "in the future"),
        ("bought", True, NOW - 1, "before the trial was started"),
    ],
)
def test_what_is_not_believed(project: Project, outcome: str, value: object, at: int, reason: str) -> None:
    run = start_trial(project, "greetings")
    good = TrialReported(unit="ada", outcome="bought", value=1)
    bad = TrialReported(unit="ada", outcome=outcome, value=value, at=at)
    told = report_outcomes(project, "greetings", [bad, good], source="test")
    assert [one.heard for one in told] == ["refused", "recorded"]
    assert reason in told[0].reason
    with opened(project) as store:
        assert len(list(store.reports(run.id))) == 1


@pytest.mark.parametrize("unit", ["", "x" * 1001])
def test_what_names_no_unit(project: Project, unit: str) -> None:
    start_trial(project, "greetings")
    (told,) = report_outcomes(project, "greetings", bought([unit]), source="test")
    assert (told.heard, told.reason) == ("refused", "a unit is named by 1 to 1,000 characters")


def test_twice_and_contradicting(project: Project) -> None:
    run = start_trial(project, "greetings")
    ask(project, run, ["ada"])
    says = [*bought(["ada"]), *bought(["ada"]), *bought(["ada"], value=False), *bought(["stranger"])]
    told = report_outcomes(project, "greetings", says, source="test")
    assert [one.heard for one in told] == ["recorded", "known", "corrected", "recorded"]
    seen = see_trial(later(project, 2 * HOUR), "greetings")[1]
    assert (seen.handled.counted, seen.handled.corrected, seen.handled.unknown) == (1, 1, 1)
    assert sum(arm.mean or 0 for arm in seen.outcomes[0].arms) == 0


def test_what_was_never_started_or_declared(project: Project) -> None:
    for call in (lambda: see_trial(project, "greetings"), lambda: stop_trial(project, "greetings", why="x")):
        with pytest.raises(NotFound, match="never started"):
            call()
    with pytest.raises(NotFound, match="no such trial") as refused:
        start_trial(project, "greeting")
    assert refused.value.next == "did you mean `greetings`?"


def test_files_of_both_forms(project: Project, tmp_path: Path) -> None:
    run = start_trial(project, "greetings")
    ask(project, run, ["ada", "bo"])
    long = tmp_path / "long.csv"
    moment = "2024-04-10T02:00:30+02:00"
    long.write_text(f"unit,outcome,value,at\nada,bought,yes,\nbo,spent,12.5,{moment}\nbo,bought,,\nbo,born,1,\n")
    assert kring("trial", "list", project.folder).code == 0
    first = file_outcomes(project, "greetings", long)
    assert (first.recorded, first.refused, first.examples[0].outcome) == (2, 1, "born")
    wide = tmp_path / "wide.csv"
    wide.write_text("unit,bought,spent,else\nada,true,,9\nbo,false,300,9\n")
    second = file_outcomes(later(project, 60), "greetings", wide)
    assert (second.recorded, second.corrected, second.known) == (1, 1, 1)
    assert file_outcomes(later(project, 90), "greetings", wide).known == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("who,bought\nada,1\n", "does not say what units did"),
        ("unit,born\nada,1\n", "does not say what units did"),
        ("unit,bought,at\nada,1,yesterday\n", "this is no moment"),
        ("unit,bought,at\nada,1,2024-04-10T00:20:00\n", "this is no moment"),
        ("", "empty"),
    ],
)
def test_files_that_are_none(project: Project, tmp_path: Path, text: str, why: str) -> None:
    start_trial(project, "greetings")
    file = tmp_path / "file.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=why):
        file_outcomes(project, "greetings", file)


def with_subject(project: Project, name: str) -> Project:
    data = msgspec.structs.replace(project.system.data, subject=name)
    return replace(project, system=msgspec.structs.replace(project.system, data=data))


def test_units_are_written_as_records_write_them(project: Project) -> None:
    assert unit_names(project, ["ada", "ada"]) == ["ada", "ada"]
    first, second = unit_names(with_subject(project, "email"), ["ada", "ada"])
    assert first == second
    assert first.startswith("t_")
    assert unit_names(with_subject(project, "amount"), ["007", "x"]) == ["7.0", "x"]


def point(project: Project, **changes: object) -> None:
    """A router with two versions that answer."""
    pointer = Pointer(system="loans", live="v_old", previous="", generation=2, rollout="ro_1", at=1)
    pointer = msgspec.structs.replace(
        pointer, **{"canary": "v_new", "share": 0.5, "salt": "s", "unit": "subject", **changes}
    )
    with project.ledger() as ledger:
        state = OperatorState(system="loans", pointer=pointer)
        ledger.append([history.entry(state, id="operator", actor="test", at=1)])


def test_versions_as_arms_are_those_that_the_router_has(project: Project) -> None:
    with pytest.raises(Refused, match="only one version answers"):
        start_trial(project, "versions")
    point(project)
    run = start_trial(project, "versions")
    assert run.terms.arms == {"old": "v_old", "new": "v_new"}
    log = adapters.free_writer(project.home.log, files=project.files, system="loans")
    for version, subjects in (("v_old", ["ada", "bo"]), ("v_new", ["cy"]), ("v_other", ["di"])):
        n = len(subjects)
        log.append(
            Decisions(system="loans", version=version, answered_by=version, arm="live", kind="online", at=NOW, n=n,
                      inputs={"x": [1] * n}, outputs={}, latency_us=1, subjects=subjects)
        )  # fmt: skip
    log.close()
    assert see_trial(project, "versions")[1].split.units == {"old": 2, "new": 1}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"share": 0.2}, "other shares"),
        ({"unit": "subject_day"}, "anew each day"),
        ({"canary": ""}, "only one version"),
    ],
)
def test_versions_that_can_not_be_compared(project: Project, changes: dict[str, object], why: str) -> None:
    point(project, **changes)
    with pytest.raises(Refused, match=why):
        start_trial(project, "versions")


def test_the_command_line(project: Project, tmp_path: Path) -> None:
    folder = project.folder
    started = kring("trial", "start", "greetings", folder, "--by", "Lead Scientist")
    assert "50 % a (plain), 50 % b (warm)" in started.out
    assert kring("trial", "start", "greetings", folder).code == 1
    file = tmp_path / "said.csv"
    file.write_text("unit,outcome,value\nada,bought,1\nada,spent,lots\n")
    told = kring("trial", "outcomes", "greetings", folder, "--from", file, "--json")
    assert (told.code, told.json["recorded"], told.json["refused"]) == (1, 1, 1)
    shown = kring("trial", "show", "greetings", folder, "--json").json
    assert (shown["run"]["state"], shown["seen"]["handled"]["unknown"]) == ("running", 1)
    assert kring("trial", "stop", "greetings", folder, "--reason", "enough").code == 0
    assert "stopped" in kring("trial", "show", "greetings", folder).out


def test_who_is_forgotten_leaves_every_trial(project: Project) -> None:
    run = start_trial(project, "greetings")
    ask(project, run, ["ada", "bo"])
    see_trial(project, "greetings")
    report_outcomes(project, "greetings", bought(["ada", "bo"]), source="test")
    assert forget(project, "ada")
    with opened(project) as store:
        assert [one.unit for one in store.exposures(run.id)] == ["bo"]
        assert [one.unit for one in store.reports(run.id)] == ["bo"]

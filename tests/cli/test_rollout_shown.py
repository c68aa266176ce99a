"""`kring rollout show`, `hold`, `resume`, `abort`: what they say to somebody who was woken, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kring.charts.words import moment
from kring.flow import history
from kring.flow.lately import last_asked
from kring.flow.operating.leading import led
from kring.flow.operating.operator import LEADER
from kring.flow.operating.showing import show as shown
from kring.host.clock import SimulatedClock
from kring.record.alarm import Breach
from kring.record.operator import Braked, RolloutAsked, Watched
from kring.record.version import Version
from systems import day, kring, write_loans
from worlds import World, passed, world_in

WORSE = Watched(
    start=0, end=day(60), looked=(), breaches=(
        Breach(metric="roc_auc", value=0.5, low=0.4, high=0.6, allowed="", rows=9, since=0, what="worse"),
    ),
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = world_in(tmp_path / "loans", step_for="2d")
    yield made
    made.close()


def show(world: World) -> str:
    """The page, with its lines as long as they are meant: commands end theirs."""
    told = kring("rollout", "show", world.project.folder)
    assert told.code == 0, told.err
    assert all(len(line) <= 100 or "/" in line or "─" in line for line in told.out.splitlines()), told.out
    return re.sub(r"\n +(?=[a-z0-9])(?!kring)", " ", told.out)


def signed(world: World, *ids: str) -> None:
    """The versions are on the ledger, and so is the key by which they were signed, which lies nowhere."""
    for id in ids:
        made = Version(
            id=id, system="loans", candidate="boosted", root="r", key="k", run="r_1", baseline_run="r_0", evidence="e",
            verdict="j", snapshot="s", size=1, at=day(1),
        )  # fmt: skip
        world.ledger.append([history.entry(made, id=id, actor="test", at=day(1))])


def test_a_step_says_who_answers_what_is_missing_and_what_to_do(world: World) -> None:
    world.begin()
    world.hour()
    page = show(world)
    assert "v_1 (live) answers 80 %; the new one, v_2 (canary, 20 %), the other 20 %." in page
    assert "Counted per request, over all steps, from 2024-01-0" in page
    assert "Bad is what failed (error) or got a stand-in's answer (fallback)." in page
    assert "the mean over the guardrails, stands at 1: 1 is none, at 20 a version is rolled back by itself" in page
    assert page.count("of 100 rollouts") == 2, "the odds of each kind of mistake are said once"
    assert "about 182 more requests answered by the new version at 20 % (18 of 200 were counted there;" in page
    assert "v_2 (canary, 20 %) answers 20 % of the traffic and NOBODY WATCHES IT: no operator has run" in page
    assert "but only while an operator runs" in page
    assert f"kring operate {world.project.folder}\n" in page
    assert f"kring rollback {world.project.folder} --reason '…'\n" in page
    assert "under 2 % bad" in page


def test_what_runs_goes_on_by_itself_and_what_nobody_runs_does_not(world: World) -> None:
    world.begin()
    world.hour()
    found = shown(world.project)
    assert "Nothing: it goes on, or back, by itself." in found.todo
    assert any(one.startswith("Without proof by 2024-01-0") for one in found.missing)
    assert found.roles == {"v_1": "live", "v_2": "canary, 20 %"}
    assert found.operator.now
    late = shown(replace(world.project, clock=SimulatedClock(world.clock.now() + 50 * 86_400_000_000)))
    assert not late.operator.now
    assert "NOBODY WATCHES IT" in late.headline
    assert "Nothing: it goes on, or back, by itself." not in late.todo
    assert any("no operator has run since" in one for one in late.missing)


def test_who_operates_and_who_no_more_does_is_known_at_once(world: World) -> None:
    world.begin()
    assert led(world.ledger, now=world.clock.now()).now
    world.ledger.lease(LEADER, holder="one", ttl=15.0, now=world.clock.now())
    gone = led(world.ledger, now=world.clock.now() + 20_000_000)
    assert (gone.now, gone.last) == (False, world.clock.now() + 15_000_000)
    assert gone.why_not.startswith("no operator has run since 2024-01-0")


def test_a_rollback_that_was_done_is_told_as_done(world: World) -> None:
    world.begin()
    world.hour()
    told = kring("rollback", world.project.folder, "--reason", "trying it")
    assert told.code == 0, told.err
    assert told.out.startswith("v_2 answers no share any more; v_1 answers everything\n")
    assert "  The rollout of v_2 (was canary, 20 %) has ended.\n" in told.out
    assert "next: kring status" in told.out
    again = kring("rollback", world.project.folder, "--reason", "again")
    assert (again.code, again.out) == (1, "")
    assert "nothing was changed" in again.err
    assert "which answers on" in again.err


def test_a_rollback_says_by_what_proof(world: World) -> None:
    world.begin()
    world.until("rolled_back", hours=10, bad_new=0.3, bad_old=0.01)
    page = show(world)
    assert "v_2 (gone) was ROLLED BACK by itself at 2024-01-0" in page
    assert "not reached" in page
    assert "at the end at" in page
    assert "error got worse" in page
    assert "v_1 (live) answers everything." in page
    assert "The rollout needs nothing" in page


def test_a_rollback_that_is_refused_says_first_that_nothing_was_done(world: World) -> None:
    """The key by which the previous version was signed is gone, and status says so before anybody tries."""
    world.begin()
    world.until("done")
    folder = world.project.folder
    signed(world, "v_1", "v_2")
    told = kring("rollback", folder, "--reason", "quality fell")
    assert told.code == 3
    assert told.out == "NOT DONE: nothing was changed, and v_2 (live) answers on. Why not:\n"
    assert "the public key is missing" in told.err
    keys = folder / ".kring" / "keys"
    assert f"openssl pkey -in {keys}/signing.pem -pubout -out {keys}/signing.pub" in told.err
    assert "nobody looks for new ones, or tells of them: no operator has run since" in kring("alarms", folder).out
    world.operator.step([WORSE])
    page = " ".join(kring("alarms", folder).out.split())
    assert "of version v_2 (live), which answers since 2024-01-0" in page
    assert re.search(r"do retrain on the newest data \(kring retrain \S+ --now\) now", page), page
    assert "There is no way back now: the public key is missing" in page
    told = kring("alarms", folder, "--json").json
    assert "go back (kring rollback)" in told["alarms"][0]["proposal"], "what was recorded stays"
    assert told["no_way_back"].startswith("the public key is missing")
    assert told["answered"]["v_2"]["whole_since"] > told["answered"]["v_2"]["since"]
    assert told["answered"]["v_1"]["until"] == told["answered"]["v_2"]["whole_since"]
    id = told["alarms"][0]["id"]
    assert kring("alarms", "show", id, folder, "--json").json["no_way_back"] == told["no_way_back"]
    assert "kring rollback" not in kring("alarms", "ack", id, folder).out
    assert "brings it back" not in (status := kring("status", folder).out)
    assert "it can't come back now: the public key is missing" in " ".join(status.split())
    assert "no guardrail showed harm" in " ".join(status.split())


def test_what_is_held_says_why_and_how_it_goes_on(world: World) -> None:
    world.begin()
    folder = world.project.folder
    held = kring("hold", folder, "--reason", "let me look", "--by", "duty", "--json")
    assert (held.code, held.json["state"], held.json["step"]) == (0, "held", 20)
    page = show(world)
    began = moment(world.clock.now())
    there = f"v_2 (canary, 20 %) WAITS at 20 % of the traffic (there since {began}), held since 20"
    assert there in " ".join(page.split())
    signed(world, "v_1", "v_2")
    assert there in " ".join(kring("status", folder).out.split())
    assert "let me look" in page
    assert "(if unsure, this one; it works without an operator):\n" in page
    waits = "While it waits v_2 still answers its share and gets no more, until somebody resumes it"
    assert waits in " ".join(page.split())
    assert f"kring resume {world.project.folder}" in page
    again = kring("hold", folder, "--reason", "again")
    assert again.code == 1
    assert "nothing was changed" in again.err
    assert "it is held already: kring resume lets it go on" in again.err
    resumed = kring("resume", folder, "--reason", "fine", "--json")
    assert (resumed.json["state"], resumed.json["step"]) == ("step", 20)
    aborted = kring("abort", folder, "--reason", "no")
    assert aborted.code == 0
    assert "was given up" in show(world)


def test_what_gets_no_data_names_the_command_that_says_when_somebody_last_asked(world: World) -> None:
    world.begin()
    world.hour()
    signed(world, "v_1", "v_2")
    last = moment(last_asked(world.project))
    world.operator.step([Braked(brakes=("no_data",))])
    page = show(world)
    assert "see that requests arrive" in page
    assert f"  To see when somebody last asked (the line decisions):\n    kring status {world.project.folder}\n" in page
    status = kring("status", world.project.folder).out
    assert re.search(
        rf"\n  decisions the last one {re.escape(last)}, \d+ days ago, batches and shadows aside\n", status
    )
    (held,) = kring("alarms", world.project.folder, "--json").json["alarms"]
    assert held["since"] < held["at"]
    began = f"it waits since {moment(world.clock.now())}; the stage in which it waits began 2024-01-0"
    assert began in " ".join(kring("alarms", world.project.folder).out.split())


def test_a_stage_is_entered_once_however_often_it_is_held(world: World) -> None:
    world.begin()
    began = moment(world.clock.now())
    for _ in range(2):
        world.hour()
        world.operator.step([RolloutAsked(what="hold", actor="duty", reason="let me look")])
        held = moment(world.clock.now())
        assert f"(there since {began}), held since {held}: let me look" in shown(world.project).headline
        world.operator.step([RolloutAsked(what="resume", actor="duty", reason="fine")])


def test_no_way_back_is_offered_that_is_closed_while_a_version_bakes(world: World) -> None:
    world.begin()
    world.until("baking")
    folder = world.project.folder
    assert f"kring rollback {folder} --reason '…'" in show(world)
    signed(world, "v_1")
    page = show(world)
    assert "kring rollback" not in page
    assert "There is no way back now: the public key is missing" in page


def test_where_nothing_answered_before_there_is_no_way_back(world: World) -> None:
    world.operator.step([passed("v_1")])
    world.operator.step([WORSE])
    page = " ".join(kring("alarms", world.project.folder).out.split())
    assert "There is no way back now: there is no previous version to go back to" in page
    assert "kring rollback" not in page


def test_a_canary_goes_back_whatever_was_before(world: World) -> None:
    """It needs no version but the one that answers beside it."""
    world.begin()
    signed(world, "v_1")
    world.operator.step([WORSE])
    assert "kring rollback" in kring("alarms", world.project.folder).out
    assert kring("alarms", world.project.folder, "--json").json["no_way_back"] == ""
    assert kring("rollback", world.project.folder, "--reason", "it is worse").code == 0


def test_an_edited_configuration_is_said_and_not_resumed(world: World) -> None:
    world.begin()
    path = world.project.folder / "kring.toml"
    before = path.read_text()
    path.write_text(before.replace("floor = 0.02", "floor = 0.2"))
    kring("hold", world.project.folder, "--reason", "edited")
    refused = kring("resume", world.project.folder, "--reason", "go")
    assert refused.code == 1
    assert "put kring.toml back as it was" in refused.err
    path.write_text(before)
    assert kring("resume", world.project.folder, "--reason", "go").code == 0


def test_a_second_release_is_refused_while_one_is_under_way(world: World) -> None:
    world.begin()
    told = kring("release", world.project.folder)
    assert told.code == 3
    assert "two at once would spoil each other's tests" in told.err
    assert "kring rollout show" in told.err


@pytest.mark.parametrize("words", [("hold",), ("resume",), ("abort",), ("rollback",)])
def test_each_wants_a_reason(world: World, words: tuple[str, ...]) -> None:
    told = kring(*words, world.project.folder)
    assert told.code == 2
    assert "--reason" in told.err


@pytest.mark.parametrize("words", [("hold", "--reason", "x"), ("resume", "--reason", "x"), ("abort", "--reason", "x")])
def test_without_a_rollout_there_is_nothing_to_ask(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = write_loans(tmp_path / "loans")
    told = kring(words[0], folder, *words[1:])
    assert told.code == 1
    assert "no rollout is under way: kring release starts one" in told.err
    shown = kring("rollout", "show", folder)
    assert shown.code == 2
    assert "has no rollout yet" in shown.err

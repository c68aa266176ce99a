"""`kring alarms`: what somebody who was woken reads, and what they can do about it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from kring.flow.operating.operator import operating
from kring.flow.project import open_project
from kring.record.alarm import Breach, Effect
from kring.record.operator import Watched
from kring.watch import wording
from systems import Told, kring, write_loans
from targets import Target, http_target

HOUR = 3_600_000_000


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as made:
        yield made


@pytest.fixture
def loans(tmp_path: Path, target: Target) -> Path:
    folder = write_loans(tmp_path / "loans")
    config = folder / "kring.toml"
    whom = f'[[notify]]\nname = "night"\nto = "webhook"\nurl = "{target.url}"\ninner = true\nleast = "note"\n'
    config.write_text(f"{config.read_text()}\n{whom}")
    return folder


def ring(folder: Path, *features: str) -> None:
    project = open_project(folder)
    now = project.clock.now()
    found = [
        Breach(
            kind="drift", metric="share", feature=name, value=0.2, low=0.1, high=0.3, allowed="share <= 0.02", rows=500,
            since=now - HOUR, what=f"{name} moved", sure="a false alarm once in 1,000 windows at the most",
            effect=Effect(metric="roc_auc", value=-0.02, low=-0.04, high=-0.01, money=0.11, currency="EUR"),
        )
        for name in features
    ]  # fmt: skip
    page = Breach(
        kind="data_quality", metric="violations", value=0.12, low=0.1, high=0.14, allowed="violations <= 0.05",
        rows=1000, since=now - HOUR, what="120 of 1,000 rows (12.0%) broke the contract, 5.0% are allowed",
    )  # fmt: skip
    with operating(project, holder="test") as operator:
        operator.step([Watched(start=now - HOUR, end=now, breaches=(*found, page), looked=())])


def of(told: Told) -> list[dict]:
    assert told.code == 0, told
    return told.json["alarms"]


def test_where_nothing_rings_it_is_said(loans: Path) -> None:
    told = kring("alarms", loans)
    assert (told.code, told.out) == (0, "loans: no alarm is open\n")
    assert of(kring("alarms", loans, "--json")) == []
    assert of(kring("alarms", "list", loans, "--all", "--json")) == []


def test_it_says_what_happened_how_sure_that_is_and_what_to_do(loans: Path) -> None:
    ring(loans, "age")
    said = " ".join(kring("alarms", loans).out.split())
    first, second = said.index("PAGE loans: 120 of 1,000 rows"), said.index("TICKET loans: age moved")
    assert first < second, "the most urgent first"
    for part in (
        "Keeper of the Feed", "mend the feed",
        "the 95 % interval (0.1 to 0.14) lies wholly beyond", "what the contract promises of the data",
        "a false alarm once in 1,000 windows", "no longer looks like the data that the version learned from",
        "worse, roc_auc -0.02 (-0.04 to -0.01)", "costs 0.11 EUR more", "not estimated: too little is known",
        "(outcomes are not in yet)", f"(kring retrain {loans} --now)", "A training changes no answer",
        "1 page (act now), 1 ticket (can wait for the day); it is 20", "kring alarms silence", "--for 2h",
        "feature age", "open",
    ):  # fmt: skip
        assert part in said, (part, said)


def test_many_of_one_kind_do_not_hide_the_rest(loans: Path) -> None:
    ring(loans, *(f"x{number:02}" for number in range(30)))
    said = kring("alarms", loans).out
    assert said.count("TICKET") == 3
    assert "27 more, found together with these: drift of x03, x04, x05, x06, x07 and 22 others" in said
    assert len(said.splitlines()) <= 50
    assert len(of(kring("alarms", loans, "--json"))) == 31
    group = of(kring("alarms", loans, "--json"))[-1]["group"]
    assert len(of(kring("alarms", "ack", group, loans, "--json"))) == 31
    said = kring("alarms", "ack", group, loans, "--by", "ada").out
    assert (said.count("PAGE"), said.count("TICKET"), said.count("acknowledged by ada")) == (1, 3, 2)
    assert "  as above  sure, do, now\n" in said
    assert len(said.splitlines()) <= 40


def test_seen_silenced_ended(loans: Path) -> None:
    ring(loans, "age")
    id = next(one["id"] for one in of(kring("alarms", loans, "--json")) if one["feature"] == "age")
    (seen,) = of(kring("alarms", "ack", id, loans, "--by", "ada", "--because", "on it", "--json"))
    assert (seen["state"], seen["by"], seen["until"]) == ("acknowledged", "ada", None)
    assert seen["handled_at"] > seen["since"]
    assert "acknowledged by ada at 20" in kring("alarms", "show", id, loans).out
    silenced = kring("alarms", "silence", id[:22], loans, "--for", "2h").out
    assert "\nTICKET  loans: age moved\n" in silenced
    assert "\n  now       silent until " in silenced
    assert f"to end the silence:  kring alarms silence {id[:22]} {loans} --for 1s\n" in silenced
    assert "1 ticket (can wait for the day; silenced)" in kring("alarms", loans).out
    assert kring("alarms", "silence", id, loans, "--for", "1s").code == 0
    (over,) = of(kring("alarms", "resolve", id.lower(), loans, "--because", "mended", "--json"))
    assert (over["state"], over["action"], over["ended"][-1]) == ("resolved", "mended", "Z")
    assert id not in kring("alarms", loans).out
    assert id in kring("alarms", loans, "--all").out
    assert "over since" in kring("alarms", "show", id, loans).out
    again = kring("alarms", "ack", id, loans)
    assert (again.code, "over already" in again.err) == (1, True)


def test_who_is_at_it_reads_what_it_is_how_sure_and_what_to_do(loans: Path) -> None:
    ring(loans, "age")
    page = of(kring("alarms", loans, "--json"))[0]["id"]
    said = kring("alarms", "ack", page, loans, "--by", "ada", "--because", "I look at the feed").out
    labels = [line.split()[0] for line in said.splitlines() if line[:3].strip() and line.startswith("  ")]
    assert said.startswith("\nPAGE  loans: 120 of 1,000 rows (12.0 %) broke the contract, 5.0 % are allowed\n")
    assert labels[:4] == ["sure", "do", "now", "id"]
    whole = " ".join(said.split())
    assert "sure the 95 % interval (0.1 to 0.14) lies wholly beyond what is allowed do look at the rows" in whole
    assert "UTC: I look at the feed id a_" in whole


def test_a_folder_of_the_name_of_a_command_is_not_taken_for_it(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loans.rename(loans.parent / "ack")
    monkeypatch.chdir(loans.parent)
    told = kring("alarms", "ack")
    assert (told.code, "wants the ID of an alarm" in told.err) == (2, True)
    assert "kring alarms ./ack shows the alarms of that folder" in told.err
    assert kring("alarms", "./ack").out == "loans: no alarm is open\n"


def test_what_could_not_be_told_is_said(loans: Path, target: Target) -> None:
    told = kring("alarms", "test", "night", loans)
    assert (told.code, "night has it" in told.out) == (0, True)
    assert json.loads(target.taken[0].body)["type"] == "dev.kring.alarm.test"
    target.status = 404
    refused = kring("alarms", "test", "night", loans, "--json")
    assert (refused.code, refused.json["error"]["code"], refused.json["error"]["got"]) == (1, "refused", "HTTP 404")
    target.status = 503
    busy = kring("alarms", "test", "night", loans, "--json")
    assert (busy.code, busy.json["error"]["code"]) == (3, "unreachable")


REMEDIES = sorted({command for cures in wording.REMEDIES.values() for _, command in cures})


@pytest.mark.parametrize("command", REMEDIES)
def test_what_may_help_is_a_command_that_there_is(command: str) -> None:
    told = kring(*shlex.split(command.format(" here")), "--help")
    assert told.code == 0, told.err


def test_no_line_is_wider_than_a_terminal(loans: Path) -> None:
    ring(loans, *(f"a_rather_long_name_of_a_column_{number}" for number in range(5)))
    said = kring("alarms", loans).out.replace(str(loans), "loans")
    assert max(map(len, said.splitlines())) <= 100
    group = of(kring("alarms", loans, "--json"))[-1]["group"]
    assert f"kring alarms ack {group} {loans}\n" in kring("alarms", loans).out


def test_programs_get_the_same_words(loans: Path) -> None:
    ring(loans, "age")
    told = kring("alarms", loans, "--json").json
    assert set(told) == {"system", "alarms", "untold", "means", "roles", "answered", "unwatched", "no_way_back"}
    assert {*told["means"]} == {one["id"] for one in told["alarms"]}

"""A replay, in which nothing takes time, tries all of kring.toml but that, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from kring.flow.replaying.untimed import untried
from kring.record.running import RolloutPlan, Slo, Watch
from kring.record.version import Price
from systems import BARE, kring, loans_feed, replaced, write_loans

SPAN = ("--from", "2024-01-16", "--to", "2024-02-20")
STEPS = """shadow = "0s"
steps = [50]
holdback = 0.0
min_units = 20
floor = 0.2
bake = "1d"
guardrails = {guardrails}
"""


def written(folder: Path, *guardrails: str, more: str = "") -> Path:
    write_loans(folder, feed=loans_feed(2000, days=54))
    file = folder / "kring.toml"
    steps = STEPS.format(guardrails=json.dumps(["error", *guardrails]))
    file.write_text(replaced(file.read_text(), {'shadow = "2d"\nbake = "1d"\n': steps}) + more)
    return folder


@pytest.mark.parametrize(
    ("guardrail", "more", "tried", "not_tried"),
    [
        ("latency", "", ["error"], ['"latency" of rollout.guardrails']),
        ("cost", "\n[price]\nsecond = 1.0\n", ["error"], ['"cost" of rollout.guardrails', "price.second"]),
        ("cost", "\n[price]\nsecond = 1.0\ndecision = 0.1\n", ["error", "cost"], ["price.second"]),
    ],
)
def test_what_time_alone_could_tell_holds_no_version_up_and_is_named(
    tmp_path: Path, guardrail: str, more: str, tried: list[str], not_tried: list[str]
) -> None:
    folder = written(tmp_path / "loans", guardrail, more=more)
    told = kring("replay", folder, *SPAN, "--json")
    assert told.code == 0, told.err
    replay = told.json["replay"]
    assert replay["untried"] == not_tried
    first, *others = replay["rollouts"]
    assert {one["name"] for one in others[0]["terms"]["guardrails"]} == set(tried)
    assert "done" in {one["state"] for one in others}, "a later version came to answer everything"
    assert any(move["was"] == "step" and move["state"] != "held" for move in replay["moves"])
    assert first["state"] == "done"
    assert "Nothing takes time in a replay" in Path(told.json["report"]).read_text()


def test_people_are_told_as_well_and_of_each_side(tmp_path: Path) -> None:
    folder = written(tmp_path / "loans", "latency")
    other = folder / "other.toml"
    other.write_text((folder / "kring.toml").read_text().replace('"error", "latency"', '"error"'))
    told = kring("replay", folder, "--from", "2024-01-16", "--to", "2024-01-18", "--with", other)
    assert told.code == 0, told.err
    said = 'Nothing takes time in a replay, so this was not tried: "latency" of rollout.guardrails.'
    assert " ".join(told.out.split()).count(said) == 1
    alone = kring("replay", folder, "--from", "2024-01-16", "--to", "2024-01-18")
    assert said in " ".join(alone.out.split())
    [page] = (folder / ".kring" / "replays").rglob("comparison.html")
    assert page.read_text().count("Nothing takes time in a replay") == 1


def test_every_key_that_time_alone_could_tell_is_named() -> None:
    """And none of a system that has none of them."""
    assert list(untried(BARE)) == []
    rollout = msgspec.structs.replace(RolloutPlan(), guardrails=("error", "latency", "cost"))
    timed = msgspec.structs.replace(
        BARE,
        rollout=rollout,
        price=Price(second=1.0),
        watch=msgspec.structs.replace(Watch(), cost=0.1, latency_ms=50.0),
        slo=Slo(latency=0.99),
    )
    both = ['"latency" of rollout.guardrails', '"cost" of rollout.guardrails']
    assert list(untried(timed)) == [*both, "price.second", "watch.cost", "watch.latency_ms", "slo.latency"]
    bought = msgspec.structs.replace(timed.candidates[0], price=0.02)
    assert list(untried(msgspec.structs.replace(timed, candidates=(bought,)))) == [
        both[0], "price.second", "watch.latency_ms", "slo.latency",
    ]  # fmt: skip

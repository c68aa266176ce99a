"""Every kind of broken feed, to every command that reads feeds: told, refused, and nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from commands import contents, kring
from feeds import FEEDS, every, with_rows
from parcels import LIVE_FROM, LIVE_TO

COMMANDS: Final = {
    "check": ("check",),
    "go": ("go",),
    "replay": ("replay", "--from", LIVE_FROM, "--to", LIVE_TO),
}
LEDGER: Final = {".kring/ledger.db"}
"""What a broken contract may change: its report is kept."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FEEDS)
def test_a_broken_feed_changes_nothing(name: str, command: str, released: Path) -> None:
    bad = FEEDS[name]
    bad.make(released)
    before = contents(released)
    words = COMMANDS[command]
    answer = kring(words[0], released, *words[1:])
    code, word = bad.exit, bad.word
    if command == "replay":
        code, word = bad.replay_exit if bad.replay_exit is not None else code, bad.replay_word or word
    assert answer.exit == code, answer
    if code == 1 and command != "replay":
        assert answer.object["snapshot"] is None, answer
        assert answer.object["report"]["result"] == "fail", answer
    else:
        assert answer.error["code"] == ("refused" if code == 1 else "data"), answer
    assert word in answer.text, answer
    after = contents(released)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= (LEDGER if code == 1 and command != "replay" else set()), changed


def test_one_class_is_no_question(fresh: Path) -> None:
    every(1, late="false")(fresh)
    assert kring("check", fresh).exit == 0
    before = contents(fresh)
    answer = kring("train", fresh)
    assert (answer.exit, answer.error["code"]) == (2, "data")
    assert "same outcome" in answer.text
    assert contents(fresh) == before


def test_categories_that_training_never_saw(fresh: Path) -> None:
    """The zone `moon` opens after the training: decisions are made all the same."""
    with_rows(lambda number, row: row.update(zone="moon") if number > 1150 else None)(fresh)
    answer = kring("replay", fresh, "--from", LIVE_FROM, "--to", LIVE_TO)
    assert answer.exit == 0, answer
    assert answer.object["replay"]["decisions"] > 0


def test_a_past_without_readable_times_is_not_passed_over(fresh: Path) -> None:
    every(70, ordered_at="soon")(fresh)
    answer = kring("check", fresh, "--as-of", LIVE_FROM)
    assert (answer.exit, answer.object["report"]["result"]) == (1, "fail")
    assert "ordered_at" in answer.text

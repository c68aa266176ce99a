"""What every notifier must do."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Literal

import pytest

from kring.errors import KringError, Late, Refused, Unreachable
from kring.ports.notifier import Notifier
from kring.record.alarm import Alarm
from kring.record.message import Message

Mood = Literal["takes", "busy", "no", "hangs", "drips", "gone"]
SECRET = "a secret that nobody may ever read"
BOUND_S = 15.0
"""In which anything ends, on a slow machine; the notifiers under test were given a tenth of it."""


def alarm(**changes: object) -> Alarm:
    """An alarm as the operator raises it."""
    made: dict[str, object] = {
        "id": "a_1", "system": "lights", "version": "v_1", "kind": "drift", "what": "age moved", "metric": "share",
        "value": 0.2, "low": 0.1, "high": 0.3, "allowed": "share <= 0.02", "rows": 500, "since": 1_700_000_000_000_000,
        "at": 1_700_000_060_000_000, "owner": "the house", "proposal": "look", "tier": "ticket", "feature": "age",
    }  # fmt: skip
    return Alarm(**{**made, **changes})  # type: ignore[arg-type]  # the fields as tests change them


def message(**changes: object) -> Message:
    made: dict[str, object] = {
        "id": "n_1", "system": "lights", "at": 1_700_000_060_000_000, "news": "opened", "tier": "ticket",
        "subject": "[ticket] lights, alarm: age moved", "text": "TICKET  lights: age moved\n  do  look",
        "alarms": (alarm(),),
    }  # fmt: skip
    return Message(**{**made, **changes})  # type: ignore[arg-type]  # the fields as tests change them


class NotifierSuite(ABC):
    """`notifier` opens one whose target is in a mood, with `SECRET` and about a second to answer; `heard` are the ids
    or texts that the target was told."""

    @abstractmethod
    def notifier(self, mood: Mood) -> Notifier:
        """A notifier whose real target is in that mood."""

    @abstractmethod
    def heard(self) -> list[str]:
        """What the target has taken, each with the id of its message or alarm in it."""

    def test_what_is_sent_arrives(self) -> None:
        self.notifier("takes").send(message())
        (said,) = self.heard()
        assert "age moved" in said

    def test_a_notifier_may_be_used_again_and_the_same_message_is_the_same(self) -> None:
        notifier = self.notifier("takes")
        notifier.send(message())
        notifier.send(message())
        first, second = self.heard()
        assert "n_1" in first or "a_1" in first
        assert "n_1" in second or "a_1" in second

    def test_a_test_without_alarms_arrives(self) -> None:
        self.notifier("takes").send(message(news="test", alarms=(), subject="[note] lights, test: nothing"))
        (said,) = self.heard()
        assert "nothing" in said

    @pytest.mark.parametrize("mood", ["busy", "gone", "hangs", "drips"])
    def test_what_may_help_later_is_retryable_and_ends_in_time(self, mood: Mood) -> None:
        began = time.monotonic()
        error = self.failure(mood)
        assert time.monotonic() - began < BOUND_S
        assert isinstance(error, Late | Unreachable)
        assert error.retryable
        assert self.heard() == []

    def test_a_no_is_final(self) -> None:
        error = self.failure("no")
        assert isinstance(error, Refused)
        assert not error.retryable

    @pytest.mark.parametrize("mood", ["busy", "gone", "hangs", "drips", "no"])
    def test_no_error_repeats_the_secret(self, mood: Mood) -> None:
        error = self.failure(mood)
        assert SECRET not in f"{error}{error!r}{error.__cause__!r}"

    @pytest.mark.parametrize("text", ["a\r\nBcc: all@x.example", "a\nb\x00c", "ü" * 3000, "\ud800", "=?utf-8?b?eA==?="])
    def test_no_text_breaks_it(self, text: str) -> None:
        text = text.encode("utf-8", "replace").decode()
        told = alarm(what=text, feature=text[:60], owner=text, slice=text[:60])
        self.notifier("takes").send(message(subject=text, text=text, alarms=(told,)))
        assert len(self.heard()) == 1

    def failure(self, mood: Mood) -> KringError:
        with pytest.raises(KringError) as raised:
            self.notifier(mood).send(message())
        return raised.value

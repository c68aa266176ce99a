"""Alertmanager: each alarm is an alert that lasts until it is resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from kring.errors import UserError
from kring.host.clock import SystemClock
from kring.notifiers import alertmanager
from kring.ports.notifier import Notifier
from kring.record.alarm import Effect
from kring.record.running import Notify
from kring.testing.notifier import SECRET, Mood, NotifierSuite, alarm, message
from served import free_port
from targets import Target, http_target

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
POSTABLE = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "labels": {**LABELS, "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}},
            "annotations": LABELS,
            "generatorURL": {"type": "string", "format": "uri"},
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
        },
    },
}
"""`postableAlerts` of its API, version 2."""

NOW = 1_700_000_100_000_000


def opened(url: str, *, secret: str = SECRET, seconds: float = 1.0) -> Notifier:
    target = Notify(name="am", to="alertmanager", url=url, inner=True)
    return alertmanager.open_notifier(target, secret=secret, clock=SystemClock(), seconds=seconds)


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as made:
        yield made


class TestSuite(NotifierSuite):
    @pytest.fixture(autouse=True)
    def _target(self, target: Target) -> None:
        self.target = target

    def notifier(self, mood: Mood) -> Notifier:
        if mood == "gone":
            return opened(f"http://127.0.0.1:{free_port()}")
        self.target.status = {"busy": 500, "no": 400}.get(mood, 200)
        self.target.mood = mood if mood in ("hangs", "drips") else ""
        return opened(f"http://127.0.0.1:{self.target.port}/")

    def heard(self) -> list[str]:
        return [one.body.decode() for one in self.target.taken]


def test_it_is_posted_where_alerts_go_with_the_token(target: Target) -> None:
    opened(f"http://127.0.0.1:{target.port}/prefix/").send(message())
    (heard,) = target.asked
    assert heard.path == "/prefix/api/v2/alerts"
    assert heard.headers["authorization"] == f"Bearer {SECRET}"
    jsonschema.validate(json.loads(heard.body), POSTABLE)


def test_the_line_end_of_a_mounted_token_is_not_part_of_it(target: Target) -> None:
    opened(f"http://127.0.0.1:{target.port}", secret=SECRET + "\n").send(message())
    assert target.taken[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("token", ["t0ken\r\nx: y", "t0ken-€", "t0ken-ü", "t0ken\x00", "t0ken\udcff", "\n"])
def test_a_token_that_no_header_takes_is_found_out_before_and_not_repeated(token: str) -> None:
    with pytest.raises(UserError, match="the secret of the target am can't be sent") as raised:
        opened("https://am.example", secret=token)
    assert "t0ken" not in f"{raised.value}{raised.value!r}{raised.value.__cause__!r}{raised.value.__context__!r}"


def test_an_address_that_can_not_be_asked_is_found_out_before() -> None:
    for url in ("https://am.example/ü", "https://u@am.example", "am.example"):
        with pytest.raises(UserError):
            opened(url)


def ends(alert: dict[str, Any]) -> float:
    return datetime.fromisoformat(alert["endsAt"]).timestamp() * 1e6


def test_an_alarm_lasts_until_it_is_resolved() -> None:
    (alert,) = alertmanager.alerts_of(message(), now=NOW)
    assert alert["labels"] == {
        "alertname": "kring_drift", "severity": "warning", "system": "lights", "metric": "share", "feature": "age",
        "alarm": "a_1",
    }  # fmt: skip
    assert ends(alert) > NOW + 300 * 86_400e6
    over = message(news="resolved", alarms=(alarm(state="resolved", ended=NOW - 5_000_000),))
    (ended,) = alertmanager.alerts_of(over, now=NOW)
    assert ended["labels"] == alert["labels"]
    assert ends(ended) == NOW - 5_000_000


def test_one_that_gets_more_urgent_ends_as_what_it_was() -> None:
    raised = message(news="changed", alarms=(alarm(tier="page", count=2),))
    alerts = alertmanager.alerts_of(raised, now=NOW)
    by_severity = {alert["labels"]["severity"]: ends(alert) > NOW for alert in alerts}  # type: ignore[index]
    assert by_severity == {"info": False, "warning": False, "critical": True}


def test_what_it_does_and_who_does_what_is_annotated() -> None:
    effect = Effect(metric="roc_auc", value=-0.03, money=0.12, currency="EUR")
    (alert,) = alertmanager.alerts_of(message(alarms=(alarm(effect=effect),)), now=NOW)
    notes: Any = alert["annotations"]
    assert (notes["effect"], notes["owner"], notes["proposal"]) == (
        "roc_auc -0.03, +0.12 EUR per decision", "the house", "look",
    )  # fmt: skip


def test_a_test_ends_at_once() -> None:
    (alert,) = alertmanager.alerts_of(message(news="test", alarms=()), now=NOW)
    assert NOW <= ends(alert) <= NOW + 1_000_000
    jsonschema.validate([alert], POSTABLE)

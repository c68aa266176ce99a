"""Prometheus Alertmanager, API v2: each alarm is one alert, which it groups and routes as it was told.

An alert without an end is over after a few minutes there; ours last until they are resolved, so an end lies far ahead,
and is set to the moment of the resolution then. https://github.com/prometheus/alertmanager, api/v2/openapi.yaml
"""

from __future__ import annotations

from typing import Final

import msgspec

from kring.charts.words import rfc3339
from kring.notifiers.post import address_of, post
from kring.notifiers.secret import sendable
from kring.ports.clock import Clock
from kring.ports.notifier import Notifier
from kring.record.alarm import Alarm
from kring.record.message import Message
from kring.record.running import Notify, Tier

PATH: Final = "/api/v2/alerts"
SEVERITY: Final[dict[Tier, str]] = {"note": "info", "ticket": "warning", "page": "critical"}
LASTS_US: Final = 365 * 86_400_000_000
LONGEST: Final = 1000

Alert = dict[str, object]


class Alertmanager:
    """One Alertmanager by its base address."""

    def __init__(self, target: Notify, *, token: str, clock: Clock, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._clock = clock
        base = target.url.rstrip("/")
        self._url = base if base.endswith(PATH) else base + PATH
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})

    def send(self, message: Message) -> None:
        """See `Notifier.send`."""
        body = msgspec.json.encode(alerts_of(message, now=self._clock.now()))
        target = self._target
        post(self._url, body, headers=self._headers, inner=target.inner, target=target.name, seconds=self._seconds)


def open_notifier(target: Notify, *, secret: str, clock: Clock, seconds: float = 10.0) -> Notifier:
    """An Alertmanager; a `secret` is the token that it is shown. An answer has to come within `seconds`. `UserError`
    for an address or a token that can't be used."""
    address_of(target.url, target=target.name)
    token = sendable(secret, what="secret", target=target.name)
    return Alertmanager(target, token=token, clock=clock, seconds=seconds)


def alerts_of(message: Message, *, now: int) -> list[Alert]:
    """Its alarms as postable alerts; a test is one that ends at once."""
    if message.news == "test":
        labels = {"alertname": "kring_test", "severity": SEVERITY[message.tier], "system": message.system}
        return [_alert(labels, {"summary": message.subject, "description": message.text}, since=now, until=now + 1000)]
    return [alert for alarm in message.alarms for alert in alerts_of_alarm(alarm, now=now)]


def alerts_of_alarm(alarm: Alarm, *, now: int) -> list[Alert]:
    """An alarm as it is now. What tells alerts apart are their labels, so one whose tier has risen ends as what it
    was before."""
    over = alarm.state == "resolved"
    end = (alarm.ended or now) if over else now + LASTS_US
    notes = {
        "summary": alarm.what,
        "sure": alarm.sure,
        "effect": effect_of(alarm),
        "proposal": alarm.proposal,
        "owner": alarm.owner,
        "version": alarm.version,
        "allowed": alarm.allowed,
    }
    below = [tier for tier in SEVERITY if list(SEVERITY).index(tier) < list(SEVERITY).index(alarm.tier)]
    ended = [_alert(labels_of(alarm, tier), notes, since=alarm.since, until=max(now, alarm.since)) for tier in below]
    current = _alert(labels_of(alarm, alarm.tier), notes, since=alarm.since, until=max(end, alarm.since))
    return [*(ended if alarm.count > 1 else []), current]


def labels_of(alarm: Alarm, tier: Tier) -> dict[str, str]:
    labels = {
        "alertname": f"kring_{alarm.kind}",
        "severity": SEVERITY[tier],
        "system": alarm.system,
        "metric": alarm.metric,
        "feature": alarm.feature,
        "slice": alarm.slice,
        "alarm": alarm.id,
    }
    return {name: value for name, value in labels.items() if value}


def effect_of(alarm: Alarm) -> str:
    """What it is estimated to do, in short."""
    effect = alarm.effect
    if effect is None:
        return ""
    parts = [f"{effect.metric} {effect.value:+.4g}" if effect.metric and effect.value is not None else ""]
    parts += [f"{effect.money:+.4g} {effect.currency} per decision" if effect.money is not None else ""]
    return ", ".join(part for part in parts if part)


def _alert(labels: dict[str, str], notes: dict[str, str], *, since: int, until: int) -> Alert:
    return {
        "labels": {name: value[:LONGEST] for name, value in labels.items()},
        "annotations": {name: value[:LONGEST] for name, value in notes.items() if value},
        "startsAt": rfc3339(since),
        "endsAt": rfc3339(until),
    }

"""Webhooks: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks says.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. https://www.standardwebhooks.com
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final
from urllib.parse import quote

import msgspec

from kring.charts.words import rfc3339
from kring.errors import UserError
from kring.notifiers.post import address_of, post
from kring.notifiers.secret import line_of
from kring.ports.clock import Clock
from kring.ports.notifier import Notifier
from kring.record.message import Message
from kring.record.running import Notify

MEDIA: Final = "application/cloudevents+json; charset=utf-8"
TYPE: Final = "dev.kring.alarm"
CODED: Final = "whsec_"
SHORTEST: Final = 16
MOMENTS: Final = frozenset({"at", "since", "last", "until", "ended", "looked_at", "handled_at"})


class Webhook:
    """One address that takes POSTs."""

    def __init__(self, target: Notify, *, key: bytes, clock: Clock, seconds: float) -> None:
        self._seconds = seconds
        self._target = target
        self._key = key
        self._clock = clock

    def send(self, message: Message) -> None:
        """See `Notifier.send`."""
        body = event_of(message)
        headers = {"content-type": MEDIA} | signature(self._key, message.id, body, at=self._clock.now() // 1_000_000)
        target = self._target
        post(target.url, body, headers=headers, inner=target.inner, target=target.name, seconds=self._seconds)


def open_notifier(target: Notify, *, secret: str, clock: Clock, seconds: float = 10.0) -> Notifier:
    """A webhook that answers within `seconds`; with a `secret` it signs. `UserError` for one too short to be one, and
    for an address that can't be used."""
    address_of(target.url, target=target.name)
    return Webhook(target, key=key_of(secret, target.name), clock=clock, seconds=seconds)


def event_of(message: Message) -> bytes:
    """The message as a CloudEvent. Its id is the same each time it is sent."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": message.id,
            "source": f"/kring/systems/{quote(message.system)}",
            "type": f"{TYPE}.{message.news}",
            "subject": message.subject,
            "time": rfc3339(message.at),
            "datacontenttype": "application/json",
            "data": told(msgspec.to_builtins(message)),
        }
    )


def signature(key: bytes, id: str, body: bytes, *, at: int) -> dict[str, str]:
    """The headers of a delivery at `at` (seconds since 1970); without a key it is not signed."""
    headers = {"webhook-id": id, "webhook-timestamp": str(at)}
    if key:
        mac = hmac.new(key, b".".join((id.encode(), str(at).encode(), body)), hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return headers


def key_of(secret: str, target: str) -> bytes:
    """The key in a secret: base64 behind `whsec_`, or the text itself."""
    line = line_of(secret)
    try:
        key = base64.b64decode(line[len(CODED) :], validate=True) if line.startswith(CODED) else line.encode()
    except (binascii.Error, ValueError):
        key = b""
    if secret and len(key) < SHORTEST:
        raise UserError(
            f"the secret of the target {target} can't sign", got="a short or damaged one",
            allowed=f"{CODED} and base64, or a text, of {SHORTEST} bytes or more", key="notify.secret",
        )  # fmt: skip
    return key


def told(value: object) -> object:
    """Built-in values with every moment in RFC 3339, and null where 0 means never."""
    if isinstance(value, list | tuple):
        return [told(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: (rfc3339(one) if one else None) if name in MOMENTS and isinstance(one, int) else told(one)
        for name, one in value.items()
    }

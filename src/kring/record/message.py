"""What is told of alarms, to whom, and whether it arrived."""

from __future__ import annotations

from typing import Literal

import msgspec

from kring.record.alarm import Alarm, News
from kring.record.operator import Notify
from kring.record.running import Tier

DeliveryState = Literal["waiting", "sent", "failed"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms of `system` that belong together, in words and as they are, the most urgent first; `more` are not named.

    `id` is the same when it is sent again. `subject` is one line, `text` several.
    """

    id: str
    system: str
    at: int
    news: News
    tier: Tier
    subject: str
    text: str
    alarms: tuple[Alarm, ...] = ()
    more: int = 0


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way to `target`. While it is `waiting` it is tried again at `due`; `failed` is given up.

    `notify` is kept as long as it waits. `reason` says why the last attempt was in vain.
    """

    id: str
    target: str
    state: DeliveryState
    since: int
    due: int
    attempts: int = 0
    reason: str = ""
    notify: Notify | None = None

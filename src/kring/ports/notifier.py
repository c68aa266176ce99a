"""Where people hear of alarms."""

from __future__ import annotations

from typing import Protocol

from kring.record.message import Message


class Notifier(Protocol):
    """One target. It may be used from one thread at a time."""

    def send(self, message: Message) -> None:
        """Hand the message over; it has arrived when this returns, in bounded time. The same id may come twice: a
        target that cares drops the second.

        `Unreachable` or `Late` when trying again may help; `Refused` when the target will not have it, or must not be
        reached; `UserError` when it is not set up. No error repeats a secret.
        """
        ...

"""What a target is shown of who asks: names and secrets, checked before they are sent and never repeated."""

from __future__ import annotations

from kring.errors import UserError


def line_of(secret: str) -> str:
    """A secret without the line end that a mounted file has."""
    return secret.removesuffix("\n").removesuffix("\r")


def sendable(text: str, *, what: str, target: str) -> str:
    """`text` as headers and signing in by mail take it; empty when there is none. `UserError` for what is not one line
    of ASCII."""
    line = line_of(text)
    if text and not (line and line.isascii() and line.isprintable()):
        raise UserError(
            f"the {what} of the target {target} can't be sent",
            got="an empty one, or other signs",
            allowed="one line of ASCII",
            next="set it anew where the operator runs",
            key="notify.secret" if what == "secret" else "notify.url",
        )
    return line

"""The headers of a request, as far as they can be read in one way only."""

from __future__ import annotations

from typing import Any, Final

from kring.errors import UserError

SYSTEM: Final = "x-kring-system"
SINGLE: Final = ("host", "origin", "authorization", "x-api-key", SYSTEM, "idempotency-key")
"""Headers that decide something, and therefore come once and can be read."""


def plain(headers: Any) -> Any:
    """The headers by their names, where each of them comes once and can be read, as nearly always; else as they are."""
    pairs = headers.items()  # without what can't be read
    named = dict(pairs)
    if not len(named) == len(pairs) == len(headers):
        return headers
    for name in SINGLE:
        if name in named and headers.get(name) is None:  # the first of two can't be read
            return headers
    return named


def require_single(headers: Any) -> None:
    """`UserError` for a header that decides something and comes twice, or in signs that can't be read: to pass it over
    would be to answer another question."""
    for name in SINGLE:
        if name in headers and (headers.get(name) is None or len(headers.get_all(name)) > 1):
            raise UserError(
                f"the header {name} can't be read",
                got="it comes more than once" if headers.get(name) is not None else "signs beyond ASCII",
                allowed="once, in ASCII",
                key=name,
            )

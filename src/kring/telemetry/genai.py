"""What OpenTelemetry calls the parts of an answer in words. The names are still in development: they stand here alone.

Source: OpenTelemetry semantic conventions, gen-ai, at `NAMES`. Questions, answers and documents are content, which is
told of nothing here.
"""

from __future__ import annotations

from typing import Final

from kring.ports.spans import Span

NAMES: Final = "7b0c0fe"
"""The state of the conventions that the names are taken from, the last one before they moved (1.42)."""

PROVIDER: Final = "kring"
OPERATIONS: Final = {"/v1/chat/completions": "chat"}
LOOKED_UP: Final = "retrieval"
"""A question by any other route: sentences are looked up, and nothing is generated."""


def answered_in_words(span: Span) -> dict[str, str | list[str]]:
    """The attributes of a request that a system answered out of its documents."""
    operation = OPERATIONS.get(span.route, LOOKED_UP)
    said: dict[str, str | list[str]] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": span.system,
    }
    if operation == LOOKED_UP:
        said["gen_ai.data_source.id"] = span.system
    if len(span.ids) == 1:
        said["gen_ai.response.id"] = span.ids[0]
    if len(span.by) == 1:
        said["gen_ai.response.model"] = next(iter(span.by)).version
    return said

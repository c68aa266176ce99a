"""What a chat holds that this server reads: the last question of the user, and how the answer is to be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from kring.errors import UserError

T = TypeVar("T")

MOST_MESSAGES: Final = 1000
PIECE: Final = re.compile(r"\s*(?:\w+|[^\w\s])|\s+\Z")
TOKEN: Final = re.compile(r"\w+|[^\w\s]")
"""A token, for counting: a word or number, or one other sign that is not blank."""

AT_ONCE: Final = 6
"""Tokens in one chunk of a streamed answer."""

UNREAD: Final = ("system", "developer", "assistant", "tool", "function")
"""Roles whose messages change nothing: answers are sentences out of documents, by the question alone."""

PARAM: Final = re.compile(r" - at `\$\.?([^`]*)`")


class Message(msgspec.Struct, frozen=True):
    """One turn; `content` is a text, or parts of which `type` says what they are."""

    role: str
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class Chat(msgspec.Struct, frozen=True):
    """The parts of a request that change what is answered. What else it holds is named in `kring.ignored`."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    response_format: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None


def chat_of(raw: Any) -> Chat:
    """A request out of decoded JSON. `UserError` for what is none, and for what can't be honoured and can't be
    passed over either."""
    chat = converted(raw, Chat)
    if not 1 <= len(chat.messages) <= MOST_MESSAGES:
        raise UserError(
            "a chat has messages",
            got=f"{len(chat.messages):,}",
            allowed=f"1 to {MOST_MESSAGES:,}",
            next="send the question as the last message of the user",
            key="messages",
        )
    for name, got, reason in refusals(chat):
        raise UserError(f"{name} can't be honoured: {reason}", got=str(got)[:80], next=f"leave {name} out", key=name)
    return chat


def refusals(chat: Chat) -> Iterator[tuple[str, object, str]]:
    """What was asked for that an answer out of documents can't be, with the reason."""
    format = (chat.response_format or {}).get("type", "text")
    if chat.n not in (None, 1):
        yield "n", chat.n, "the same question has the same answer, so there is one"
    if format != "text":
        yield "response_format", format, "answers are sentences out of documents"
    if chat.logprobs:
        yield "logprobs", chat.logprobs, "nothing is generated, so no token has a probability"
    for name, choice in (("tool_choice", chat.tool_choice), ("function_call", chat.function_call)):
        if choice not in (None, "auto", "none"):
            yield name, choice, "this system calls no tools"
    if chat.audio is not None or "text" not in (chat.modalities or ["text"]):
        yield "modalities", chat.modalities, "answers are texts"
    limits = (("max_tokens", chat.max_tokens), ("max_completion_tokens", chat.max_completion_tokens))
    for name, most in limits:
        if most is not None and most < 1:
            yield name, most, "an answer has one token at the least"


def converted(raw: Any, kind: type[T]) -> T:
    """Decoded JSON as one of our types; a `UserError` names the part that does not fit."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        said, found = str(error), PARAM.search(str(error))
        raise UserError(
            "the body is not what this route reads",
            got=PARAM.sub("", said),
            next="see the interface at /schema",
            key=found[1] if found else "",
        ) from error


def ignored(raw: Mapping[str, object], chat: Chat) -> list[str]:
    """What the request held that changes nothing here, so that nobody takes it for honoured."""
    known = {field for field in Chat.__struct_fields__ if raw.get(field) is not None}
    roles = sorted({message.role for message in chat.messages if message.role != "user"})
    return [
        *sorted(name for name in raw if name not in known and raw[name] is not None),
        *map("messages: {}".format, roles),
    ]


def question_of(messages: Sequence[Message]) -> str:
    """The text of the last message of the user. `UserError` without one, and for parts that are no text."""
    for place, message in enumerate(messages):
        if message.role not in ("user", *UNREAD):
            raise UserError(
                "this is no role",
                got=repr(message.role)[:80],
                allowed=", ".join(("user", *UNREAD)),
                key=f"messages[{place}].role",
            )
    place = max((place for place, message in enumerate(messages) if message.role == "user"), default=-1)
    if place < 0:
        raise UserError(
            "nobody asks", got="no message of the user", next="add a message with role user", key="messages"
        )
    return text_of(messages[place].content, where=f"messages[{place}].content")


def text_of(content: str | list[dict[str, Any]] | None, *, where: str) -> str:
    """The text of one message; its text parts, joined by line ends."""
    if isinstance(content, str):
        return content
    parts = content or []
    for place, part in enumerate(parts):
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise UserError(
                "only texts are read",
                got=repr(part.get("type"))[:80],
                allowed='{"type": "text", "text": "…"}',
                key=f"{where}[{place}]",
            )
    return "\n".join(part["text"] for part in parts)


def tokens(text: str) -> int:
    """How many tokens a text has, see `TOKEN`."""
    return sum(1 for _ in TOKEN.finditer(text))


def pieces(text: str) -> list[str]:
    """A text in pieces of a few tokens, which joined are the text again."""
    single = PIECE.findall(text)
    return ["".join(single[first : first + AT_ONCE]) for first in range(0, len(single), AT_ONCE)]


def shortened(text: str, chat: Chat) -> tuple[str, str]:
    """As much of an answer as was asked for, and why it ends: `stop`, or `length`."""
    stops = [chat.stop] if isinstance(chat.stop, str) else chat.stop or []
    ends = [text.find(stop) for stop in stops if stop and stop in text]
    text = text[: min(ends)] if ends else text
    limits = [most for most in (chat.max_tokens, chat.max_completion_tokens) if most is not None]
    most = min(limits, default=None)
    if most is None or tokens(text) <= most:
        return text, "stop"
    return "".join(PIECE.findall(text)[:most]), "length"

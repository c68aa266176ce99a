"""OFREP 0.3: feature flags that any OpenFeature client can ask for: those of kring.toml, and which version answers.

Each system has three flags of its own: its name gives the id of the version, `NAME.arm` the arm (`live` or `canary`),
and `NAME.canary` whether it is the canary. The targeting key is the subject; the answer is that of the router, by the
same hash on the same day.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Literal, get_args
from weakref import WeakKeyDictionary

import msgspec

from kring.api.bodies import json_of, require_media
from kring.api.exchange import Request, Response, Route
from kring.api.faults import headers_of, sentence
from kring.api.flagged import declared, declared_as, rack_of
from kring.decide.flags import subject_text
from kring.errors import Forbidden, KringError, NotFound, UserError
from kring.metrics.assignment import assigned, units
from kring.record.contract import LogicalType, Scalar
from kring.serve.exposing import Shown, Subject
from kring.serve.line import Line

Reason = Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"]
Code = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", "FLAG_NOT_FOUND"]
Variant = Literal["live", "canary"]
LONGEST: Final = 1000
_encode: Final = msgspec.json.Encoder().encode
_threads: Final[WeakKeyDictionary[Line, ThreadPoolExecutor]] = WeakKeyDictionary()


class Evaluated(msgspec.Struct):
    """One flag and its value."""

    key: str
    value: Scalar
    variant: str
    reason: Reason
    metadata: dict[str, str | int | float | bool]


class Failed(msgspec.Struct, omit_defaults=True):
    """One flag, or with an empty key all of them, and why it has no value."""

    errorCode: str  # noqa: N815  the protocol's word
    errorDetails: str = ""  # noqa: N815
    key: str = ""


class Broken(msgspec.Struct):
    """A fault of the server's own."""

    errorDetails: str  # noqa: N815


class Context(msgspec.Struct, frozen=True):
    targetingKey: str  # noqa: N815


class Evaluation(msgspec.Struct, frozen=True):
    """A question for flags. Of the context the targeting key is read, and what the rules of flags name."""

    context: dict[str, Any]


class Flags(msgspec.Struct):
    """Each flag with its value, or with the reason why it has none."""

    flags: list[Any]
    metadata: dict[str, str | int | float | bool]


ENDINGS: Final = ("", ".arm", ".canary")
"""What may stand behind the name of a system."""

CODES: Final = frozenset(get_args(Code))


async def one(request: Request) -> Response:
    """The value of one flag."""
    key = request.params["key"]
    try:
        router = router_flag(request, key)
        line, name = router or declared_as(key, lines_of(request))
        context = context_of(request)
        line = request.line(line.name)
        subject = await subject_of(line, targeting_key(context))
        told = evaluated(line, name, subject.unit) if router else valued(key, line, name, context, unit=subject.unit)
        expose(line, subject, [told])
        return Response(200, _encode(told))
    except KringError as error:
        return failure(error, key=key)


async def every(request: Request) -> Response:
    """The values of all flags of the systems whose flags the caller may ask for; 304 when they are those that the
    caller has."""
    try:
        context = context_of(request)
        lines = [line for line in lines_of(request) if may_ask(request, line)]
    except KringError as error:
        return failure(error, key="")
    own = list(declared(lines))
    named = [(line, [(key, name) for key, other, name in own if other is line]) for line in lines]
    flags = [flag for line, names in named for flag in await flags_in(line, names, context)]
    body = _encode(Flags(flags, {"systems": len(lines)}))
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if etag in (part.strip().removeprefix("W/") for part in (request.headers.get("if-none-match") or "").split(",")):
        return Response(304, headers=(("etag", etag),))
    return Response(200, body, headers=(("etag", etag),))


async def flags_in(line: Line, names: Sequence[tuple[str, str]], context: dict[str, Any]) -> list[Evaluated | Failed]:
    """All flags of one system: the router's, and those of kring.toml by key and name. What keeps a system from saying
    who is meant keeps no other one from answering."""
    routed = [(line.name + ending, ending) for ending in ENDINGS]
    try:
        subject = await subject_of(line, targeting_key(context))
    except KringError as error:
        return [Failed("GENERAL", sentence(error), key) for key, _ in (*routed, *names)]
    flags = [tried(key, partial(evaluated, line, ending, subject.unit)) for key, ending in routed]
    flags += [tried(key, partial(valued, key, line, name, context, unit=subject.unit)) for key, name in names]
    expose(line, subject, [one for one in flags if isinstance(one, Evaluated)])
    return flags


def tried(key: str, value: Callable[[], Evaluated]) -> Evaluated | Failed:
    """The value of a flag, or why it has none."""
    try:
        return value()
    except KringError as error:
        return Failed("GENERAL", sentence(error), key)


def router_flag(request: Request, key: str) -> tuple[Line, str] | None:
    """The system whose router the flag is about, and what stands behind its name; None for any other key."""
    for line in request.lines.all():
        for ending in ENDINGS:
            if key == line.name + ending:
                return request.line(line.name), ending
    return None


def lines_of(request: Request) -> list[Line]:
    """The systems whose flags are meant: the one that header or prefix chose, else all that the caller may see."""
    return [line for line in request.lines.all() if request.system in ("", line.name)]


def may_ask(request: Request, line: Line) -> bool:
    try:
        request.line(line.name)
    except Forbidden:
        return False
    return True


def context_of(request: Request) -> dict[str, Any]:
    """The context, with its targeting key. `UserError`, whose key says which of the protocol's errors it is."""
    require_media(request.headers)
    try:
        body = json_of(request.body)
    except UserError as error:
        raise UserError(error.message, got=error.got, allowed=error.allowed, key="PARSE_ERROR") from error
    context = body.get("context") if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise UserError(
            "a question for flags has a context", got=type(context or body).__name__,
            allowed='{"context": {"targetingKey": "…"}}', key="INVALID_CONTEXT",
        )  # fmt: skip
    targeting_key(context)
    return context


def targeting_key(context: dict[str, Any]) -> str:
    """The subject that the context names."""
    key = context.get("targetingKey")
    if key is None or key == "":
        raise UserError("the context names no targetingKey", allowed="a text", key="TARGETING_KEY_MISSING")
    if not isinstance(key, str) or len(key) > LONGEST:
        got = type(key).__name__ if not isinstance(key, str) else f"{len(key):,} characters"
        raise UserError(
            "the targetingKey is no name of a subject", got=got, allowed=f"a text of up to {LONGEST:,} characters",
            key="INVALID_CONTEXT",
        )  # fmt: skip
    return key


def valued(key: str, line: Line, name: str, context: dict[str, Any], *, unit: str) -> Evaluated:
    """The value of a flag of kring.toml. The protocol has no word for `DEFAULT`, where no rule applied: it is static
    there, and the metadata say it."""
    found = rack_of(line).evaluate(name, context, unit=unit)
    told = {"system": line.name, "reason": found.reason, "trial": found.trial, "arm": found.arm}
    return Evaluated(
        key=key,
        value=found.value,
        variant=found.variant,
        reason="STATIC" if found.reason == "DEFAULT" else found.reason,
        metadata={name: text for name, text in told.items() if text},
    )


def evaluated(line: Line, ending: str, unit: str) -> Evaluated:
    """The value of one flag of the router for a unit. `UserError` where it assigns no subjects."""
    pointer = line.served.pointer
    variant, reason = variant_of(line, unit)
    return Evaluated(
        key=line.name + ending,
        value=value_of(line, ending, variant),
        variant=variant,
        reason=reason,
        metadata={"system": line.name, "generation": pointer.generation, "share": pointer.share},
    )


def expose(line: Line, subject: Subject, told: Sequence[Evaluated]) -> None:
    """Put on record which variants a subject was told, for whoever analyses it later."""
    if line.exposing is None:
        return
    generation = line.served.pointer.generation
    shown = [shown_of(line, one) for one in told]
    record = line.exposing.told(subject.written, shown, generation=generation)
    if record is not None:
        line.add(record)


def shown_of(line: Line, one: Evaluated) -> Shown:
    """What is remembered of a flag: of one about the router the version, of one of kring.toml the trial and the arm."""
    pointer = line.served.pointer
    versions = {"live": pointer.live, "canary": pointer.canary}
    is_routed = one.key in [line.name + ending for ending in ENDINGS]
    name = one.metadata.get("trial", "")
    trial = next((run.id for run in line.served.trials if run.name == name), "")
    return Shown(
        one.key,
        one.variant,
        one.reason,
        version=versions.get(one.variant, "") if is_routed else "",
        trial=f"{trial}/{one.metadata['arm']}" if trial else "",
    )


def value_of(line: Line, ending: str, variant: Variant) -> bool | str:
    """The version's id, the arm, or whether it is the canary."""
    pointer = line.served.pointer
    if ending == ".arm":
        return variant
    return variant == "canary" if ending else pointer.canary if variant == "canary" else pointer.live


def variant_of(line: Line, unit: str) -> tuple[Variant, Reason]:
    """The arm to which the router would send the unit now."""
    pointer, system = line.served.pointer, line.served.system
    if not pointer.canary or not pointer.share:
        return "live", "STATIC"
    if pointer.share >= 1:
        return "canary", "STATIC"
    if not system.data.subject:
        raise UserError(
            f"{line.name} assigns requests, not subjects: nobody has an arm before asking",
            next="declare data.subject in kring.toml",
            key="GENERAL",
        )
    named = units([unit], at=line.now())
    return ("canary" if assigned(named, salt=pointer.salt, share=pointer.share)[0] else "live"), "SPLIT"


async def subject_of(line: Line, named: str) -> Subject:
    """A subject as router and records write it: a number as a number, whatever noughts stand before it. A token is
    looked up beside the loop, since that of somebody new is made durable first."""
    name = line.served.system.data.subject
    kind: LogicalType = next((field.type for field in line.reader.fields if field.name == name), "string")
    text = subject_text(named, kind)
    if line.subject is None:
        return Subject(text, text)
    return await asyncio.get_running_loop().run_in_executor(thread_of(line), line.subject, text)


def thread_of(line: Line) -> ThreadPoolExecutor:
    """The one that looks up tokens for a system: one whose vault is slow keeps no other waiting."""
    if line not in _threads:
        _threads[line] = ThreadPoolExecutor(1, thread_name_prefix=f"tokens {line.name}")
    return _threads[line]


def failure(error: KringError, *, key: str) -> Response:
    """An error in the protocol's form."""
    if isinstance(error, NotFound):
        return Response(404, _encode(Failed("FLAG_NOT_FOUND", sentence(error), key)))
    if isinstance(error, UserError):
        code = error.key if error.key in CODES else "GENERAL"
        return Response(400, _encode(Failed(code, sentence(error), key)))
    raise error


def fault(error: KringError, status: int) -> Response:
    """Errors that are not about a flag: who asks, how often, and our own."""
    headers = headers_of(error, status)
    if status == 404:
        return Response(404, _encode(Failed("FLAG_NOT_FOUND", sentence(error))), headers=headers)
    if status in (400, 413, 415, 422):
        return Response(status, _encode(Failed("GENERAL", sentence(error))), headers=headers)
    return Response(status, _encode(Broken(sentence(error))), headers=headers)


ROUTES: Final = (
    Route(
        method="POST",
        path="/ofrep/v1/evaluate/flags/{key}",
        handler=one,
        action="flag",
        fault=fault,
        summary="The value of one flag for a subject: which version or arm answers",
        takes=Evaluation,
        gives=Evaluated,
    ),
    Route(
        method="POST",
        path="/ofrep/v1/evaluate/flags",
        handler=every,
        action="flag",
        fault=fault,
        summary="The values of all flags for a subject; 304 when nothing has changed",
        takes=Evaluation,
        gives=Flags,
    ),
)

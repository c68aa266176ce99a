"""Whom a server tells its spans: by `--otel`, else by OpenTelemetry's own variables of the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from kring.errors import MissingExtra, UserError
from kring.flow import adapters
from kring.ports.clock import Clock
from kring.ports.random import Random
from kring.ports.spans import Spans
from kring.record.serving import Plan

OPTION: Final = "--otel"
TRACES: Final = "/v1/traces"
BASE, WHOLE = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
SPOKEN: Final = "http/protobuf"
NAME: Final = "kring"


def told_to(plan: Plan, *, environ: Mapping[str, str], say: Callable[[str], None]) -> Plan:
    """The plan with the whole URL of a collector's traces; without, when nobody is to be told.

    `UserError` for what is no such URL, `MissingExtra` when `--otel` asks for packages that are not there. What only
    the environment asks for, and can't be, is said and left out: it may be meant for other programs.
    """
    if plan.otel:
        url = collector_at(plan.otel, key=OPTION)
        adapters.require_spans(environ, purpose=OPTION)
        return msgspec.structs.replace(plan, otel=url)
    name = next((name for name in (WHOLE, BASE) if environ.get(name, "").strip()), "")
    if not name or is_off(environ):
        return plan
    protocol = next(
        (
            environ[one]
            for one in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
            if one in environ
        ),
        SPOKEN,
    )
    if protocol.strip() not in ("", SPOKEN):
        say(f"spans are not told: OTLP is spoken over {SPOKEN} only, and the environment says {protocol[:40]!r}")
        return plan
    try:
        adapters.require_spans(environ, purpose=name)
    except MissingExtra as error:
        say(f"spans are not told: {error.message}; {error.next}")
        return plan
    return msgspec.structs.replace(plan, otel=collector_at(environ[name].strip(), key=name))


def is_off(environ: Mapping[str, str]) -> bool:
    """Whether the environment says that nobody is to be told."""
    return (
        environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    )


def collector_at(url: str, *, key: str) -> str:
    """The URL of a collector's traces: `url` with /v1/traces behind it, but for one that is whole."""
    try:
        parts = urlsplit(url)
        is_known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_known = False
    if not is_known or parts.query or parts.fragment or any(sign <= " " for sign in url):
        raise UserError(
            "this is no address of a collector",
            got=repr(url.rpartition("@")[2])[:80],
            allowed="http://HOST:4318 or https://…",
            key=key,
        )
    if parts.username is not None:
        raise UserError(
            "secrets have no place in an address",
            got=f"a user before {parts.hostname}",
            allowed="http://HOST:4318 or https://…",
            next="put them into OTEL_EXPORTER_OTLP_HEADERS",
            key=key,
        )
    return url if key == WHOLE or url.endswith(TRACES) else f"{url.rstrip('/')}{TRACES}"


def spans_of(plan: Plan, *, part: str, clock: Clock, random: Random, say: Callable[[str], None]) -> Spans | None:
    """Who is told the spans of this process; None when nobody is."""
    if not plan.otel:
        return None
    service = os.environ.get("OTEL_SERVICE_NAME", "").strip() or NAME
    return adapters.open_spans(
        plan.otel, environ=os.environ, service=service, part=part, clock=clock, random=random, say=say
    )

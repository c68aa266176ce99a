"""Spans on their way: what headers say, who is told, and what becomes of them when nobody listens."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import TraceState

from kring.errors import MissingExtra, UserError
from kring.flow.serving.spanning import collector_at, told_to
from kring.host.clock import SystemClock
from kring.host.random import SeededRandom
from kring.record.serving import Plan
from kring.telemetry.otel import AT_ONCE, FULL, MOST_QUEUED, UNSENT, OtelSpans
from kring.telemetry.sampling import Sampling, sampling_of
from kring.telemetry.traceparent import parent_of, state_of

HEX = st.text("0123456789abcdefABCDEFxz", max_size=34)
WRITTEN = st.one_of(
    st.text(max_size=60),
    st.builds("{}-{}-{}-{}{}".format, HEX, HEX, HEX, HEX, st.sampled_from(["", "-", "-x"])),
    st.builds(
        "{}-{:032x}-{:016x}-{:02x}{}".format,
        st.sampled_from(["00", "01", "fe", "ff"]),
        st.integers(0, 2**128 - 1) | st.just(0),
        st.integers(0, 2**64 - 1) | st.just(0),
        st.integers(0, 255),
        st.sampled_from(["", "-", "-x", " "]),
    ),
)


def spans(send, **how) -> OtelSpans:
    given = {"sampling": Sampling(), "clock": SystemClock(), "random": SeededRandom(1), "every_s": 0.01}
    return OtelSpans(send, resource=Resource({}), **{**given, **how})


def asked(told: OtelSpans, *, parent: str = ""):
    return told.request("POST", "/x", scheme="http", parent=parent, state="")


@given(WRITTEN)
def test_a_parent_is_read_as_the_reference_implementation_reads_it(text: str):
    assume("\n" not in text)  # a header has no lines
    theirs = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text})).get_span_context()
    ours = parent_of(text)
    if ours is None:
        assert not theirs.is_valid
    else:
        assert (ours.trace, ours.id, ours.is_told) == (theirs.trace_id, theirs.span_id, theirs.trace_flags.sampled)


@pytest.mark.parametrize(
    "text", ["a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1 , b=2", "t@v/x=y z", "a=1,,b=2"]
)
def test_what_others_say_of_a_trace_is_passed_on(text: str):
    assert dict(TraceState.from_header([state_of(text)])) == dict(TraceState.from_header([text]))
    assert state_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "=1",
        "A=1",
        "a=1,a=2",
        "a=\x01",
        "a=é",
        "a=1;b",
        "a==",
        ",".join(f"k{n}=v" for n in range(33)),
        "a=" + "x" * 600,
    ],
)
def test_what_is_not_well_formed_is_not(text: str):
    assert (state_of(text) == "") is (text != "a=1;b")


def test_a_full_queue_waits_for_nobody_and_counts():
    let_go = threading.Event()
    told = spans(lambda batch: let_go.wait(20))
    try:
        began = time.monotonic()
        for _ in range(MOST_QUEUED + AT_ONCE + 100):
            told.end(asked(told))
        assert time.monotonic() - began < 10
        assert told.lost()[FULL] >= 100
        assert told.lost()[UNSENT] == 0
    finally:
        let_go.set()
        told.close()


@pytest.mark.parametrize("broken", [False, True])
def test_what_is_not_taken_is_counted_and_the_next_is_told(broken: bool):
    batches, moods = [], [False, True]

    def send(batch) -> bool:
        batches.append(len(batch))
        if broken and len(batches) == 1:
            raise OSError("the collector is on fire")
        return moods[min(len(batches) - 1, 1)]

    told = spans(send)
    told.end(asked(told))
    end = time.monotonic() + 20
    while not told.lost()[UNSENT] and time.monotonic() < end:
        time.sleep(0.01)
    told.end(asked(told))
    told.close()
    assert told.lost() == {FULL: 0, UNSENT: 1}
    assert batches == [1, 1]


def test_closing_tells_what_there_is_and_does_not_wait_for_ever():
    batches: list[int] = []
    told = spans(lambda batch: not batches.append(len(batch)), every_s=100.0)
    told.end(asked(told))
    told.close()
    assert batches == [1]
    hung = threading.Event()
    told = spans(lambda batch: hung.wait(30), every_s=0.01)
    told.end(asked(told))
    began = time.monotonic()
    told.close()
    assert time.monotonic() - began < 20
    hung.set()


@pytest.mark.parametrize(
    ("environ", "sampling"),
    [
        ({}, Sampling(1.0, True)),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Sampling(0.0, False)),
        ({"OTEL_TRACES_SAMPLER": "ParentBased_TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, Sampling(0.25, True)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, Sampling(1.0, False)),
    ],
)
def test_the_environment_chooses_traces(environ: dict[str, str], sampling: Sampling):
    assert sampling_of(environ) == sampling


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_TRACES_SAMPLER": "some"},
        *(
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": arg}
            for arg in ("x", "nan", "-1", "1.1", "inf")
        ),
    ],
)
def test_what_can_not_be_chosen_is_refused(environ: dict[str, str]):
    with pytest.raises(UserError, match=r"share|such way"):
        sampling_of(environ)


@given(st.integers(1, 2**128 - 1), st.floats(0, 1))
def test_a_share_is_chosen_as_others_choose_it(trace: int, share: float):
    theirs = TraceIdRatioBased(share).should_sample(None, trace, "x").decision.is_sampled()
    assert Sampling(share).tells(trace, parent=None) is theirs
    assert Sampling(share).tells(trace, parent=True)
    assert Sampling(share, by_parent=False).tells(trace, parent=True) is theirs


@pytest.mark.parametrize(
    ("url", "key", "whole"),
    [
        ("http://c:4318", "--otel", "http://c:4318/v1/traces"),
        ("https://c/otlp/", "--otel", "https://c/otlp/v1/traces"),
        ("http://c/v1/traces", "--otel", "http://c/v1/traces"),
        ("http://c/own", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/own"),
        ("http://[::1]:4318", "--otel", "http://[::1]:4318/v1/traces"),
    ],
)
def test_an_address_means_the_place_of_its_traces(url: str, key: str, whole: str):
    assert collector_at(url, key=key) == whole


@pytest.mark.parametrize(
    "url",
    [
        "",
        "c",
        "c:4318",
        "ftp://c",
        "http://",
        "http://c:99999",
        "http://c:0",
        "http://c?x=1",
        "http://c#x",
        "http://c d",
        "http://user:secret@c",
        "file:///etc",
        "http://[",
        "grpc://c:4317",
    ],
)
def test_no_address_is_refused_without_its_secret(url: str):
    with pytest.raises(UserError) as error:
        collector_at(url, key="--otel")
    assert "secret" not in f"{error.value.got} {error.value.message}".replace("secrets have", "")
    assert error.value.key == "--otel"


@pytest.mark.parametrize(
    ("environ", "url", "said"),
    [
        ({}, "", 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces", 0),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d/t"},
            "http://d/t",
            0,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, "", 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, "", 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "", 1),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "  "}, "", 0),
    ],
)
def test_the_environment_says_who_is_told(environ: dict[str, str], url: str, said: int):
    lines: list[str] = []
    assert told_to(Plan(state="", folders=()), environ=environ, say=lines.append).otel == url
    assert len(lines) == said


def test_without_its_packages_who_asks_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "kring.telemetry.otel", raising=False)
    with pytest.raises(MissingExtra) as error:
        told_to(Plan(state="", folders=(), otel="http://c"), environ={}, say=print)
    assert error.value.next == "pip install 'kring[otel]'"
    lines: list[str] = []
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}
    assert told_to(Plan(state="", folders=()), environ=environ, say=lines.append).otel == ""
    assert "pip install 'kring[otel]'" in lines[0]

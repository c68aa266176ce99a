"""What is counted, and how Prometheus reads it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from kring.api.metrics import FAMILIES, STALE_S, text
from kring.record.decision import Decisions
from kring.record.tally import Tally
from kring.serve.counting import BUCKETS, SECONDS, Counts
from served import Server

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0"


def about(**changes: object) -> Decisions:
    facts = {"system": "s", "version": "v_1", "answered_by": "v_1", "arm": "live", "kind": "online", "at": 0, "n": 1}
    return Decisions(**{**facts, "inputs": {}, "outputs": {}, "latency_us": 700, **changes})


def samples(body: str, *, parser=plain) -> dict[tuple[str, frozenset], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser(body)
        for sample in family.samples
    }


def value(found: dict, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_the_server_tells_what_it_did(server: Server):
    before = samples(server.ask("GET", "/metrics").body.decode())
    rows = {"inputs": [{"email": "a@b.org", "region": "north", "amount": 1.0, "income": 2.0}] * 3}
    answer = server.ask("POST", "/api/decisions", rows, headers={"x-kring-system": "loans"})
    assert answer.status == 200, answer.body
    version = answer.json["decisions"][0]["version"]
    after = samples(server.ask("GET", "/metrics").body.decode())
    labels = {"system": "loans", "version": version, "arm": "live", "answered_by": "live"}
    decided = value(after, "kring_decisions_total", **labels)
    assert decided - before.get(("kring_decisions_total", frozenset(labels.items())), 0) == 3
    assert value(after, "kring_request_duration_seconds_count", route="/api/decisions", status="2xx") >= 1
    assert value(after, "kring_worker_ready", worker="0") == 1
    assert value(after, "kring_in_flight_rows", system="loans", worker="0") == 0
    assert value(after, "kring_worker_resident_memory_bytes", worker="0") > 10e6


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (OPEN, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "application/openmetrics-text; version=x; escaping=y",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (";;,,=;q=", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_both_forms_are_read_by_the_official_parsers(server: Server, accept: str, media: str):
    told = server.ask("GET", "/metrics", headers={"accept": accept})
    assert (told.status, told.media) == (200, media)
    body = told.body.decode()
    assert body.endswith("# EOF\n") is ("openmetrics" in media)
    assert samples(body, parser=open_metrics if "openmetrics" in media else plain)


def test_nobody_is_told_without_a_key(server: Server):
    assert server.ask("GET", "/metrics", key="").status == 401


def test_a_caller_sees_no_more_than_its_systems():
    counts = Counts(0)
    counts.decided(about())
    counts.decided(about(system="elsewhere"))
    body, _ = text([counts.tally(1.0, [])], systems=["s"], accept="")
    assert 'system="s"' in body.decode()
    assert "elsewhere" not in body.decode()


@pytest.mark.parametrize(
    ("changes", "who"),
    [
        ({}, "live"),
        ({"arm": "canary"}, "canary"),
        ({"answered_by": "v_0"}, "previous"),
        ({"answered_by": "v_0", "arm": "canary", "fallback": "v_1: dead"}, "live"),
        ({"answered_by": "v_0", "arm": "canary", "fallback": "v_1: dead; v_2: dead"}, "previous"),
        ({"answered_by": "v_1/baseline"}, "baseline"),
        ({"answered_by": "default"}, "default"),
        ({"answered_by": "nobody"}, "nobody"),
        ({"answered_by": "rejected"}, "nobody"),
    ],
)
def test_who_answered_is_one_of_six_words(changes: dict[str, str], who: str):
    counts = Counts(0)
    counts.decided(about(n=5, guards={0: ["amount"], 3: ["amount", "income"]}, **changes))
    found = samples(text([counts.tally(0, [])], systems=["s"], accept="")[0].decode())
    arm = changes.get("arm", "live")
    assert value(found, "kring_decisions_total", system="s", version="v_1", arm=arm, answered_by=who) == 5
    assert value(found, "kring_guards_fired_total", system="s", guard="amount") == 2
    fell = ("kring_fallbacks_total", frozenset({"system": "s", "version": "v_1", "answered_by": who}.items()))
    assert found.get(fell, 0) == (5 if "answered_by" in changes else 0)


@given(st.lists(st.floats(0, 20), max_size=40), st.lists(st.floats(0, 20), max_size=40))
def test_workers_add_up_and_ranges_hold_what_they_say(one: list[float], other: list[float]):
    tallies = []
    for seat, seconds in enumerate((one, other)):
        counts = Counts(seat)
        for each in seconds:
            counts.answered("/x", 200, each)
        tallies.append(counts.tally(1.0, []))
    found = samples(text(tallies, systems=[], accept=OPEN)[0].decode(), parser=open_metrics)
    name, labels = "kring_request_duration_seconds", {"route": "/x", "status": "2xx"}
    if not one and not other:
        assert (f"{name}_count", frozenset(labels.items())) not in found
        return
    assert value(found, f"{name}_count", **labels) == len(one + other)
    assert value(found, f"{name}_sum", **labels) == pytest.approx(sum(one + other))
    for end in SECONDS:
        assert value(found, f"{name}_bucket", le=str(end), **labels) == sum(each <= end for each in one + other)


def test_a_worker_goes_on_where_its_seat_died_and_a_dead_one_is_not_ready():
    first = Counts(0)
    first.decided(about())
    first.answered("/x", 503, 0.2)
    kept = first.tally(1.0, [("kring_worker_ready", (), 1.0)])
    second = Counts(0, before=kept)
    second.decided(about())
    second.answered("/x", 503, 0.2)
    found = samples(text([second.tally(2.0, [])], systems=["s"], accept="")[0].decode())
    assert value(found, "kring_decisions_total", system="s", version="v_1", arm="live", answered_by="live") == 2
    assert value(found, "kring_request_duration_seconds_count", route="/x", status="5xx") == 2
    late = Counts(1).tally(1.0 + STALE_S + 1, [])
    found = samples(text([kept, late], systems=["s"], accept="")[0].decode())
    assert ("kring_worker_ready", frozenset({("worker", "0")})) not in found


def test_names_follow_the_rules():
    for name, family in FAMILIES.items():
        assert name.startswith("kring_")
        assert name in BUCKETS or name.endswith("_total") or family.labels[-1] == "worker"
        assert not set(family.labels) & {"subject", "key", "decision"}


def test_a_foreign_file_is_not_taken_for_counts(tmp_path):
    from kring.flow.serving.tallies import Tallies

    here, there = Tallies(tmp_path, seat=0), Tallies(tmp_path, seat=1)
    there.write(Tally(seat=1, at=time.monotonic()))
    assert [one.seat for one in here.others()] == [1]
    (tmp_path / "2.json").write_text("{")
    (tmp_path / "3.json").write_text('{"seat": "x"}')
    assert [one.seat for one in here.others()] == [1]
    assert here.before() is None

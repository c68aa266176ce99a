"""From an alarm to whom it concerns: over the ledger, beside the operator, again and again until it arrives."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from kring.errors import DataError, NotFound, Refused, Unreachable, UserError
from kring.flow import adapters, history
from kring.flow.alarming import alarms, handle, meant
from kring.flow.operating.operator import failed, operating
from kring.flow.operating.telling import GIVEN_UP_US, LONGEST_US, Teller, after_failure, send_test, tell_on, telling
from kring.flow.project import Project, open_project
from kring.flow.retraining import Retraining, begun, told
from kring.host.clock import SimulatedClock
from kring.record.alarm import Breach
from kring.record.message import Delivery, Message
from kring.record.operator import OperatorState, Retrained, Watched
from kring.record.running import Notify
from systems import write_loans
from targets import Target, http_target, silent_target

HOUR = 3_600_000_000
START = 1_700_000_000_000_000
KINDS: tuple[Literal["alertmanager", "webhook"], ...] = ("alertmanager", "webhook")
SECRET = "a secret of sixteen signs and more"


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as made:
        yield made


@pytest.fixture
def project(tmp_path: Path, target: Target) -> Project:
    folder = write_loans(tmp_path / "loans")
    whom = Notify(name="night", to="webhook", url=target.url, inner=True, least="note", secret="NIGHT")
    return told_by(open_project(folder), whom)


def told_by(project: Project, *targets: Notify) -> Project:
    system = msgspec.structs.replace(project.system, notify=targets)
    return replace(project, system=system, clock=SimulatedClock(START))


def watched(*features: str, start: int = START - HOUR, looked: tuple[str, ...] = ()) -> Watched:
    found = tuple(
        Breach(
            kind="drift", metric="share", feature=name, value=0.2, low=0.1, high=0.3, allowed="share <= 0.02", rows=500,
            since=start, what=f"{name} moved",
        )
        for name in features
    )  # fmt: skip
    return Watched(start=start, end=start + HOUR, breaches=found, looked=tuple(one.key for one in found) + looked)


def ring(project: Project, *events: Any) -> None:
    with operating(project, holder="test") as operator:
        operator.step(events)


def tell(project: Project) -> int:
    def opened(target: Notify) -> Any:
        return adapters.open_notifier(target, environ={"NIGHT": SECRET}, clock=project.clock)

    with project.ledger() as ledger:
        return sum(Teller(project, ledger, one, open_target=opened).round() for one in project.system.notify)


def deliveries(project: Project) -> list[Delivery]:
    with project.ledger() as ledger:
        last = {one.id: one for one in history.all_of(ledger, Delivery)}
    return list(last.values())


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)
    assert holds()


def later(project: Project, us: int) -> Project:
    return replace(project, clock=SimulatedClock(project.clock.now() + us))


def test_what_rings_is_told_once_and_stays_told(project: Project, target: Target) -> None:
    ring(project, watched("amount", "age"))
    assert [one.state for one in deliveries(project)] == ["waiting"]
    assert (tell(project), tell(project)) == (1, 0)
    (heard,) = target.taken
    event = json.loads(heard.body)
    said = event["data"]["text"]
    assert said.startswith("As it was ")
    assert f"On {os.uname().nodename}:\n" in said, "who reads it elsewhere has to know where something can be done"
    assert f" {project.folder.resolve()} --for 2h\n" in said
    assert event["data"]["subject"] == "[ticket] loans, can wait for the day: 2 findings: drift of age, drift of amount"
    assert [(one.state, one.attempts, one.notify) for one in deliveries(project)] == [("sent", 1, None)]
    assert SECRET.encode() not in project.home.ledger.read_bytes()


def test_a_message_says_since_when_the_version_answers_and_offers_no_way_back_that_is_closed(
    project: Project, target: Target
) -> None:
    ring(project, Retrained(trigger="test", result="pass", reason="gate passed", run="r", version="v_1"))
    worse = Breach(metric="roc_auc", value=0.5, low=0.4, high=0.6, allowed="", rows=9, since=START - HOUR, what="worse")
    at = later(project, HOUR)
    ring(at, Watched(start=START, end=START + HOUR, breaches=(worse,), looked=()))
    ring(later(at, HOUR), Retrained(trigger="test", result="pass", reason="gate passed", run="r", version="v_2"))
    assert tell(at) > 0
    (said,) = [text for one in target.taken if "worse" in (text := json.loads(one.body)["data"]["text"])]
    assert "version v_1 (live), which answers since 2023-11-14 22:13 UTC\n" in said
    assert "There is no way back now: there is no previous version to go back to" in " ".join(said.split())
    assert "rollback" not in said


def test_a_target_that_fails_is_tried_again_later_with_the_same_id(project: Project, target: Target) -> None:
    target.status = 500
    ring(project, watched("age"))
    assert (tell(project), tell(project)) == (0, 0)
    assert len(target.asked) == 1, "not before it is due"
    (late,) = alarms(project).untold
    assert (late.state, late.attempts, "HTTP 500" in late.reason) == ("waiting", 1, True)
    target.status = 204
    assert tell(later(project, HOUR)) == 1
    assert len({json.loads(one.body)["id"] for one in target.asked}) == 1
    assert alarms(project).untold == ()


def test_while_a_target_fails_what_came_later_waits(project: Project, target: Target) -> None:
    target.status = 503
    ring(project, watched("age"))
    ring(project, watched("amount", start=START))
    assert tell(project) == 0
    assert len(target.asked) == 1
    target.status = 200
    assert tell(later(project, HOUR)) == 2
    names = [json.loads(one.body)["data"]["alarms"][0]["feature"] for one in target.asked]
    assert names == ["age", "age", "amount"]


def test_no_row_of_a_feed_is_told_or_stays_on_the_ledger(project: Project, target: Target) -> None:
    """What can't be read may be somebody's; what broke, in which file and line, is enough to look there."""
    name = "Jane Roe, 1 Elm Street"
    config = project.folder / "kring.toml"
    config.write_text(config.read_text().replace("feed.csv", "feed.jsonl"))
    (project.folder / "feed.jsonl").write_text(f'{{"applicant": "John"}}\n{name} {{"applicant": \n')
    said: list[str] = []
    again = replace(told_by(open_project(project.folder), *project.system.notify), say=said.append)
    training = Retraining(again, begun(again, id="t_1", trigger="schedule")).run()
    assert training.reason == "a line that is not a JSON object (feed.jsonl, line 2)"
    with again.ledger() as ledger:
        ledger.append(
            [history.entry(OperatorState(system="loans", retraining="schedule"), id="operator", actor="x", at=1)]
        )
    ring(again, told(training))
    assert tell(again) == 1
    (alarm,) = json.loads(target.taken[0].body)["data"]["alarms"]
    assert alarm["what"].endswith("(feed.jsonl, line 2)")
    everything = b"".join(one.read_bytes() for one in again.home.root.rglob("*") if one.is_file())
    assert b"Jane" not in everything + target.taken[0].body + "".join(said).encode()


def test_no_row_stays_of_a_training_that_could_not_begin() -> None:
    error = DataError("a line that is not one", got="Jane Roe", file="/data/feed.jsonl", line=7)
    assert failed("schedule", error).reason == "a line that is not one (feed.jsonl, line 7)"


def test_something_new_is_a_reason_to_try_at_once_and_the_order_stays(project: Project, target: Target) -> None:
    """A page does not wait an hour behind what failed while the target was away; a target that still fails is asked
    once for each that is new, and that is no reason to wait longer."""

    def opened(one: Notify) -> Any:
        return adapters.open_notifier(one, environ={"NIGHT": SECRET}, clock=project.clock)

    target.status = 503
    ring(project, watched("age"))
    with project.ledger() as ledger:
        teller = Teller(project, ledger, project.system.notify[0], open_target=opened)
        assert (teller.round(), len(target.asked)) == (0, 1)
        (first,) = deliveries(project)
        ring(project, watched("amount", start=START))
        assert (teller.round(), teller.round(), len(target.asked)) == (0, 0, 2)
        assert deliveries(project)[0] == first, "nothing is known that was not known before"
        target.status = 204
        assert (teller.round(), len(target.asked)) == (0, 2), "nothing is new"
        ring(project, watched("income", start=START + HOUR))
        assert (teller.round(), len(target.asked)) == (3, 5)
    names = [json.loads(one.body)["data"]["alarms"][0]["feature"] for one in target.asked[2:]]
    assert names == ["age", "amount", "income"]


def test_alertmanager_is_told_of_every_alarm_and_people_of_the_first(project: Project, target: Target) -> None:
    """What it is not told of is not there, and what it is not told the end of does not end."""
    whom = [Notify(name=to, to=to, url=f"http://127.0.0.1:{target.port}", inner=True, least="note") for to in KINDS]
    both = told_by(project, *whom)
    ring(both, watched(*(f"x{number:03}" for number in range(120))))
    assert tell(both) == 2
    ring(
        both,
        *(watched(start=START + n * HOUR, looked=tuple(f"drift/share/x{i:03}/" for i in range(120))) for n in (0, 1)),
    )
    assert tell(both) == 2
    bodies = [json.loads(one.body) for one in target.taken]
    alerts = [body for body in bodies if isinstance(body, list)]
    assert [len({one["labels"]["feature"] for one in body}) for body in alerts] == [120, 120]
    assert all(datetime.fromisoformat(one["endsAt"]).timestamp() <= START / 1e6 for one in alerts[1])
    named = [(len(body["data"]["alarms"]), body["data"]["more"]) for body in bodies if isinstance(body, dict)]
    assert named == [(50, 70), (50, 70)]


def test_a_mounted_secret_with_its_line_end_signs_as_without(project: Project, target: Target) -> None:
    with telling(project, environ={"NIGHT": SECRET + "\n"}, say=lambda _: None):
        ring(project, watched("age"))
        wait_for(lambda: bool(target.taken))
    assert target.taken[0].headers["webhook-signature"].startswith("v1,")


class Broken:
    """A notifier with a fault of its own, whose words hold what it was shown."""

    def __init__(self, faults: int) -> None:
        self.faults = faults
        self.sent: list[str] = []

    def send(self, message: Message) -> None:
        if self.faults:
            self.faults -= 1
            raise ValueError(f"Invalid header value b'Bearer {SECRET}'")
        self.sent.append(message.id)


def test_a_fault_of_a_notifier_is_tried_again_and_repeats_nothing(project: Project) -> None:
    """One message that can't be told keeps neither its thread from the next nor its secret from nobody."""
    broken = Broken(faults=1)
    ring(project, watched("age"))

    def round_of(at: Project) -> int:
        with at.ledger() as ledger:
            return Teller(at, ledger, at.system.notify[0], open_target=lambda _: broken).round()

    assert round_of(project) == 0
    (late,) = deliveries(project)
    assert (late.state, late.reason) == ("waiting", "the target night could not be told: ValueError")
    assert SECRET.encode() not in project.home.ledger.read_bytes()
    assert round_of(later(project, HOUR)) == 1
    assert len(broken.sent) == 1


def test_a_thread_that_tells_outlives_every_fault_and_says_only_its_kind(project: Project) -> None:
    said: list[str] = []
    stopped = threading.Event()
    real, faults = project.ledger, [ValueError(SECRET), ValueError(SECRET), RuntimeError(SECRET)]
    broken = Broken(faults=0)

    class Faulty(Project):
        def ledger(self) -> Any:
            if faults:
                raise faults.pop()
            return real()

    harmed = Faulty(**vars(project))
    ring(project, watched("age"))
    thread = threading.Thread(
        target=tell_on,
        args=(harmed, project.system.notify[0], stopped),
        kwargs={"open_target": lambda _: broken, "say": said.append},
    )
    thread.start()
    try:
        wait_for(lambda: bool(broken.sent))
    finally:
        stopped.set()
        thread.join()
    assert said == ["night can't be told: RuntimeError", "night can't be told: ValueError"]


def test_a_no_is_given_up_and_said(project: Project, target: Target) -> None:
    target.status = 404
    ring(project, watched("age"))
    assert tell(project) == 0
    (late,) = alarms(project).untold
    assert (late.state, late.notify) == ("failed", None)
    assert tell(later(project, HOUR)) == 0
    assert len(target.asked) == 1
    assert len(alarms(project).alarms) == 1


def test_a_secret_that_is_not_there_is_said(project: Project, target: Target) -> None:
    with pytest.raises(UserError, match="secret of the target night") as raised:
        send_test(project, "night", environ={})
    assert "NIGHT" in str(raised.value)
    assert target.asked == []


def test_a_test_arrives_and_nothing_else(project: Project, target: Target) -> None:
    send_test(project, "night", environ={"NIGHT": SECRET})
    (heard,) = target.taken
    assert json.loads(heard.body)["type"] == "dev.kring.alarm.test"
    with pytest.raises(NotFound, match="nobody is told"):
        send_test(project, "nobody", environ={})


def test_waits_grow_and_end() -> None:
    delivery = Delivery(id="n", target="x", state="waiting", since=0, due=0)
    waits, now = [], 0
    while delivery.state == "waiting":
        delivery = after_failure(delivery, Unreachable("no"), now=now)
        waits.append(delivery.due - now)
        now = delivery.due
    assert waits[:3] == [5_000_000, 10_000_000, 20_000_000]
    assert max(waits) == LONGEST_US
    assert GIVEN_UP_US <= now <= GIVEN_UP_US + LONGEST_US
    assert after_failure(delivery, Refused("no"), now=0).state == "failed"


def test_who_hangs_keeps_neither_the_operator_nor_others(project: Project, target: Target) -> None:
    """Sent by threads beside, while the operator goes on."""
    with silent_target() as port:
        hangs = Notify(name="hangs", to="webhook", url=f"http://127.0.0.1:{port}/", inner=True, least="note")
        quick = Notify(name="quick", to="webhook", url=target.url, inner=True, least="note")
        both = told_by(project, hangs, quick)
        with telling(both, environ={}, say=lambda _: None):
            ring(both, watched("age"))
            began = time.monotonic()
            ring(both, watched("amount", start=START))
            assert time.monotonic() - began < 5
            until = time.monotonic() + 60
            while len(target.taken) < 2 and time.monotonic() < until:
                time.sleep(0.05)
        assert len(target.taken) == 2
        waiting = {one.target for one in deliveries(both) if one.state == "waiting"}
        assert waiting == {"hangs"}


def test_a_copy_that_is_harmed_on_purpose_wakes_nobody(project: Project, target: Target) -> None:
    ring(project, watched("age"))
    with telling(project, environ={"NIGHT": SECRET, "KRING_TELL": "0"}, say=lambda _: None):
        time.sleep(1.5)
    assert target.asked == []
    assert [one.state for one in deliveries(project)] == ["waiting"]


def test_what_was_committed_before_a_crash_is_told_after_it(project: Project, target: Target) -> None:
    """Nothing but the ledger is needed: the step and its messages are one transaction."""
    ring(project, watched("age"))
    again = told_by(open_project(project.folder), *project.system.notify)
    assert tell(again) == 1
    assert len(target.taken) == 1


def test_steps_and_deliveries_on_one_ledger_do_not_hinder_each_other(project: Project, target: Target) -> None:
    stopped = threading.Event()

    def send() -> None:
        while not stopped.is_set():
            tell(project)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        for number in range(12):
            ring(project, watched(f"x{number}", start=START + number * HOUR))
    finally:
        stopped.set()
        thread.join()
    tell(project)
    assert len({json.loads(one.body)["id"] for one in target.taken}) == 12


def test_people_acknowledge_silence_and_resolve_by_id_or_group(project: Project) -> None:
    ring(project, watched("age", "amount"))
    first, second = alarms(project).alarms
    assert (first.group, meant(project, first.group)) == (second.group, (first, second))
    (seen,) = handle(project, first.id.lower(), "acknowledge", actor="ada", reason="on it")
    assert (seen.state, seen.by, seen.action) == ("acknowledged", "ada", "on it")
    both = handle(project, first.group, "silence", actor="ada", until=START + HOUR)
    assert {one.state for one in both} == {"silenced"}
    (over,) = handle(project, first.id, "resolve", actor="ada", reason="mended")
    assert over.state == "resolved"
    assert [one.id for one in alarms(project).alarms] == [second.id]
    assert {one.id for one in alarms(project, every=True).alarms} == {first.id, second.id}
    with pytest.raises(Refused, match="over already"):
        handle(project, first.id, "acknowledge", actor="ada")
    for wrong in ("", " ", "a_", "x", "%", "a_" + "0" * 26, "a" * 9999):
        with pytest.raises((NotFound, UserError)):
            handle(project, wrong, "acknowledge", actor="ada")
    for until in (0, START, START - 1, START + 91 * 24 * HOUR):
        with pytest.raises(UserError, match="for some time"):
            handle(project, second.id, "silence", actor="ada", until=until)
    for reason in ("\x1b[2J", "x" * 1001, "\x00"):
        with pytest.raises(UserError, match="no reason"):
            handle(project, second.id, "resolve", actor="ada", reason=reason)

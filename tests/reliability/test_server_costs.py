"""What decisions cost, on a running server: on record by version, on the pages and in the metrics, and an alarm that
begins with a version that is too dear and ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import ills
import pytest
from released import Released

from kring.flow import adapters, history
from kring.flow.project import open_project
from kring.record.alarm import Alarm
from kring.record.decision import Decisions
from living import until
from served import Server, serving
from systems import kring

WATCHED = 'shadow = "0s"\n\n[watch]\nwindow = "2s"\ndrift = 0.0\ncost = 0.005\n'
CHEAP, DEAR = 0.001, 0.02


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Released]]:
    """A version that is cheap enough, and a training of one that is not."""
    system = ills.made(tmp_path_factory.mktemp("costs") / "watched", WATCHED, price=f"decision = {CHEAP}")
    ills.train_at(system.folder, f"decision = {DEAR}")
    with serving([system.folder], workers=1) as server:
        yield server, system
        assert "Traceback" not in server.log.read_text()


def alarm_of(folder: Path) -> Alarm | None:
    """The newest word on an alarm about costs."""
    with open_project(folder).ledger() as ledger:
        return next((one for one in reversed([*history.all_of(ledger, Alarm)]) if one.kind == "cost"), None)


def logged(folder: Path) -> list[Decisions]:
    project = open_project(folder)
    log = adapters.read_log(project.home.log, system=project.system.name)
    return [one.record for one in log.read() if isinstance(one.record, Decisions)]


def test_an_alarm_of_costs_begins_and_ends_with_a_dear_version(watched: tuple[Server, Released]) -> None:
    server, system = watched
    numbers = count(0, 100)

    def ask() -> dict[str, object]:
        told = server.ask("POST", "/api/decisions", {"inputs": ills.rows(ills.FINE, 20, first=next(numbers))}, key=key)
        assert told.status == 200, told.body
        return dict(told.json["decisions"][-1])

    key = system.key
    cheap = ask()
    told = kring("release", system.folder, "--candidate", "ill", "--yes")
    assert told.code == 0, told.err
    until(lambda: ask()["version"] != cheap["version"], "the dear version", log=server.log, every=0.1)
    dear = ask()

    def state() -> str:
        ask()
        alarm = alarm_of(system.folder)
        return alarm.state if alarm else ""

    until(lambda: state() == "open", "the alarm", log=server.log, every=0.2)
    alarm = alarm_of(system.folder)
    assert alarm is not None
    assert alarm.low is not None
    assert alarm.low > 0.005
    assert "is allowed" in alarm.what
    assert "a decision costs" in kring("alarms", system.folder).out
    seen(server, system, cheap=str(cheap["id"]), dear=str(dear["id"]))

    told = kring("rollback", system.folder, "--reason", "too dear")
    assert told.code == 0, told.err
    until(lambda: state() == "resolved", "the end of the alarm", log=server.log, every=0.2)
    prices = {one.version: one.cost / one.n for one in logged(system.folder)}
    assert prices == {cheap["version"]: pytest.approx(CHEAP), dear["version"]: pytest.approx(DEAR)}


def seen(server: Server, system: Released, *, cheap: str, dear: str) -> None:
    """Where people and programs look."""
    for id, cost in ((cheap, CHEAP), (dear, DEAR)):
        told = server.ask("GET", f"/api/decisions/{id}", key=system.key)
        assert told.json["cost"] == pytest.approx(cost), told.body
        page = server.ask("GET", f"/decisions/{id}", key=system.key).body.decode()
        assert f'<dt>Cost</dt><dd class="value">{cost:g}</dd>' in page
    page = server.ask("GET", "/systems/watched", key=system.key).body.decode()
    assert "<dt>Cost of a decision</dt>" in page
    metrics = server.ask("GET", "/metrics", key=system.key).body.decode()
    paid = [line for line in metrics.splitlines() if line.startswith("kring_cost_total{")]
    assert len(paid) == 2, metrics
    assert all('arm="live",system="watched"' in line for line in paid)

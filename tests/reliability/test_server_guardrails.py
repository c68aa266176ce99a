"""Each thing that a rollout can guard, in a running server of two workers with its operator: a version that is worse in
it is rolled back and it is named; in a version that is as good no harm is found; and a shadow is judged in pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import ills
import pytest
from canaries import rollout_of, state_of, walked
from released import Released

from kring.release import judging
from living import until
from served import Server, serving
from systems import kring

NOW: Final = 'shadow = "0s"\nsteps = [50]\nguardrails = '
SHOWN: Final = '["error", "fallback", "contract", "abstention"]'
EQUAL_ROWS: Final = 1500
QUICK: Final = 250
"""Answers by which the quantiles of a latency are known."""
ASKED_IN_A_ROW: Final = 20
"""Requests of which one worker answers all once in half a million times."""


@dataclass
class Asker:
    """Puts rows to one of the systems, no row twice."""

    server: Server
    system: Released
    numbers: Iterator[int] = field(default_factory=lambda: count(0, 100))

    @property
    def folder(self) -> Path:
        return self.system.folder

    def ask(self, mood: float, *, rows: int = 100) -> list[dict[str, Any]]:
        """So many rows in that mood, in one request."""
        return self.put(ills.rows(mood, rows, first=next(self.numbers)))

    def put(self, rows: list[dict[str, object]]) -> list[dict[str, Any]]:
        """The answers; none when a row could not be answered by anybody."""
        told = self._post("decisions", {"inputs": rows})
        return list(told["decisions"]) if told else []

    def ask_again(self, mood: float, *, demand: float | None = None) -> None:
        """Whoever the new version answers comes back with a row of that mood: its answers make callers do so."""
        first = next(self.numbers)
        answers = self.put(ills.rows(ills.FINE, first=first))
        again = ills.rows(mood, first=first, demand=demand)
        if mine := [row for row, answer in zip(again, answers, strict=True) if answer["arm"] == "canary"]:
            self.put(mine)

    def tell(self, mood: float) -> None:
        """Rows in that mood, and what they turned out as: what the version that is well says of them."""
        rows = ills.rows(mood, first=next(self.numbers))
        answers = self.put(rows)
        said = [{"id": one["id"], "value": ills.truth(row)} for one, row in zip(answers, rows, strict=True)]
        heard = self._post("outcomes", {"outcomes": said})
        assert {one["heard"] for one in heard["outcomes"]} == {"recorded"}

    def release(self) -> str:
        """Start the rollout of the version that is ill."""
        told = kring("release", self.folder, "--candidate", "ill", "--yes")
        assert told.code == 0, told.err
        return rollout_of(self.folder).version

    def until(self, state: str, step: Callable[[], object]) -> None:
        """Go on until the rollout is there; no other end is taken for it."""

        def is_there() -> bool:
            step()
            return rollout_of(self.folder).state in (state, "rolled_back", "aborted", "held")

        until(is_there, state, log=self.server.log, every=0.1)
        assert rollout_of(self.folder).state == state, rollout_of(self.folder).reason

    def over(self) -> None:
        """Leave nothing under way, whatever came before."""
        if state_of(self.folder).rollout and rollout_of(self.folder).state in ("shadow", "step", "held"):
            assert kring("abort", self.folder, "--reason", "the next one").code == 0
            self.until_live_alone()

    def until_live_alone(self) -> None:
        """Until every worker has heard of the end: each request goes to any of them."""

        def is_alone() -> bool:
            return all({one["arm"] for one in self.ask(ills.FINE)} == {"live"} for _ in range(ASKED_IN_A_ROW))

        until(is_alone, "the end of its answers", log=self.server.log, every=0.1)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"X-Kring-System": self.system.name}
        told = self.server.ask("POST", f"/api/{path}", body, headers=headers, key=self.system.key)
        assert told.status in (200, 503), told.body
        return dict(told.json) if told.status == 200 else {}


@pytest.fixture(scope="module")
def askers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Asker]]:
    """One server for six systems."""
    base = tmp_path_factory.mktemp("ills")
    systems = [
        ills.made(base / "shown", NOW + SHOWN, subject=True),
        ills.made(base / "timed", NOW + '["latency"]'),
        ills.made(base / "metered", NOW + '["cost"]', price="second = 0.001"),
        ills.made(base / "paid", f'bake = "0s"\n{NOW}["cost"]', price="decision = 0.001"),
        ills.made(base / "judged", NOW + '["outcome"]'),
        ills.made(base / "paired", NOW + '["outcome"]\ndelta = 0.3\nstep_for = "8s"', feedback="none"),
    ]
    with serving([one.folder for one in systems], workers=2) as server:
        yield {one.name: Asker(server, one) for one in systems}
        assert "Traceback" not in server.log.read_text()


@pytest.fixture
def shown(askers: dict[str, Asker]) -> Iterator[Asker]:
    yield askers["shown"]
    askers["shown"].over()


@pytest.fixture
def timed(askers: dict[str, Asker]) -> Iterator[Asker]:
    for _ in range(QUICK):
        askers["timed"].ask(ills.FINE, rows=1)
    yield askers["timed"]
    askers["timed"].over()


@pytest.fixture
def metered(askers: dict[str, Asker]) -> Iterator[Asker]:
    for _ in range(QUICK):
        askers["metered"].ask(ills.FINE, rows=1)
    yield askers["metered"]
    askers["metered"].over()


@pytest.fixture
def paid(askers: dict[str, Asker]) -> Iterator[Asker]:
    for _ in range(3):
        askers["paid"].ask(ills.FINE)
    yield askers["paid"]
    askers["paid"].over()


@pytest.fixture
def judged(askers: dict[str, Asker]) -> Iterator[Asker]:
    yield askers["judged"]
    askers["judged"].over()


@pytest.fixture
def paired(askers: dict[str, Asker]) -> Iterator[Asker]:
    yield askers["paired"]
    askers["paired"].over()


def taken_back(asker: Asker, guilty: str, step: Callable[[], object]) -> None:
    """The operator takes the version back, names that guardrail and no other, and wakes somebody."""
    version = asker.release()
    asker.until("rolled_back", step)
    rollout, pointer = rollout_of(asker.folder), state_of(asker.folder).pointer
    assert (rollout.version, rollout.actor) == (version, "operator")
    assert pointer is not None
    assert (pointer.live, pointer.canary) == (rollout.previous, "")
    assert rollout.reason.startswith(f"{guilty} got worse: ")
    assert rollout.reason.count("got worse") == 1
    page = kring("rollout", "show", asker.folder, "--json").json
    assert {one["name"] for one in page["guardrails"] if one["harm"] >= one["harm_line"]} == {guilty}
    assert all(one["new_bad"] <= one["new_units"] for one in page["guardrails"]), page["guardrails"]
    told = [one for one in state_of(asker.folder).alarms if (one.kind, one.metric) == ("release", "rolled_back")]
    assert f"{version} was rolled back: {guilty} got worse" in {one.what for one in told}.pop()
    asker.until_live_alone()


ILLS: Final[dict[str, Callable[[Asker], object]]] = {
    "error": lambda asker: asker.ask_again(ills.LOST),
    "fallback": lambda asker: asker.ask(ills.FAILS),
    "contract": lambda asker: asker.ask_again(ills.FINE, demand=ills.TOO_MUCH),
    "abstention": lambda asker: asker.ask(ills.UNSURE),
}


@pytest.mark.parametrize("guilty", ILLS)
def test_what_shows_at_once_is_named(guilty: str, shown: Asker) -> None:
    """All four are guarded, and one of them is broken."""
    taken_back(shown, guilty, lambda: ILLS[guilty](shown))


def test_a_version_that_is_slow_is_taken_back(timed: Asker) -> None:
    taken_back(timed, "latency", lambda: [timed.ask(ills.SLOW, rows=1) for _ in range(10)])


def test_a_version_whose_time_is_dear_is_taken_back(metered: Asker) -> None:
    taken_back(metered, "cost", lambda: [metered.ask(ills.SLOW, rows=1) for _ in range(10)])


def test_a_version_that_is_dearer_is_taken_back(paid: Asker) -> None:
    """By the price that it was made with, whatever the others cost."""
    ills.train_at(paid.folder, "decision = 0.0011")
    taken_back(paid, "cost", lambda: paid.ask(ills.FINE))


def test_a_version_that_costs_the_same_is_let_through(paid: Asker) -> None:
    """Rows of all sizes of groups: a mean of equal prices is not dearer."""
    ills.train_at(paid.folder, "decision = 0.001")
    version, sizes = paid.release(), count(1)
    paid.until("done", lambda: paid.ask(ills.FINE, rows=20 + 7 * next(sizes) % 61))
    pointer = state_of(paid.folder).pointer
    assert pointer is not None
    assert pointer.live == version


def test_a_version_that_is_wrong_is_taken_back_when_its_outcomes_are_known(judged: Asker) -> None:
    taken_back(judged, "outcome", lambda: judged.tell(ills.WRONG))


def found_fine(asker: Asker, step: Callable[[], object]) -> None:
    """As many units as took others back many times over, and no harm."""
    asker.release()

    def seen() -> int:
        step()
        state = state_of(asker.folder)
        return sum(state.progress.units) if state.progress else 0

    until(lambda: seen() >= EQUAL_ROWS, f"{EQUAL_ROWS} units", log=asker.server.log, every=0.05)
    rollout, progress = rollout_of(asker.folder), state_of(asker.folder).progress
    assert rollout.state == "step", rollout.reason
    assert rollout.terms is not None
    assert progress is not None
    assert min(progress.units) > EQUAL_ROWS / 4, "both were asked"
    found = judging.judged(progress, rollout.terms, step=rollout.step)
    assert found.verdict == "wait"
    assert not found.guilty


def test_a_version_that_is_as_good_is_not_taken_back(shown: Asker, judged: Asker) -> None:
    """It is the very same that is ill in other moods."""
    found_fine(shown, lambda: shown.ask(ills.FINE))
    found_fine(judged, lambda: judged.tell(ills.FINE))


def test_a_shadow_that_is_as_good_on_the_same_rows_goes_on(paired: Asker) -> None:
    version = paired.release()
    said = []

    def step() -> None:
        said.extend(one["arm"] for one in paired.put(ills.rows(ills.FINE, first=next(paired.numbers))))
        paired.tell(ills.FINE)

    assert rollout_of(paired.folder).state == "shadow"
    paired.until("step", step)
    page = kring("rollout", "show", paired.folder, "--json").json
    assert page["paired_rows"] >= 100
    [outcome] = page["guardrails"]
    assert (outcome["route"], outcome["proof"] >= outcome["proof_line"]) == ("paired", True)
    assert "shadow answered" in rollout_of(paired.folder).reason
    pointer = state_of(paired.folder).pointer
    assert pointer is not None
    assert pointer.canary == version


def test_a_shadow_that_is_worse_on_the_same_rows_never_answers(paired: Asker) -> None:
    """It is given up while it is a shadow, as soon as that is proven."""
    paired.release()
    arms: set[str] = set()

    def step() -> None:
        paired.tell(ills.WRONG)
        arms.update(one["arm"] for one in paired.ask(ills.WRONG))

    paired.until("aborted", step)
    assert arms == {"live"}
    assert [state for state, _ in walked(paired.folder)] == ["draft", "validating", "shadow", "aborted"]
    assert "the shadow was proven worse: outcome got worse" in rollout_of(paired.folder).reason
    told = kring("rollout", "show", paired.folder)
    assert "the new one was worse by" in " ".join(told.out.split())


def test_a_shadow_that_does_not_answer_is_given_up(paired: Asker) -> None:
    paired.release()
    paired.until("aborted", lambda: paired.ask(ills.FAILS))
    assert "the shadow could not answer" in rollout_of(paired.folder).reason

"""What computes a graph is chosen by measurement among those that come to the processor's answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from kring.errors import Unavailable, UserError
from kring.frameworks import sklearn as framework
from kring.record.background import Background
from kring.record.batch import Batch
from kring.record.version import Link
from kring.runtimes.onnx import OnnxRuntime, open_onnx
from kring.runtimes.providers import (
    MARGIN,
    PROVIDERS,
    ROUNDS,
    SIZES,
    Choice,
    available,
    choose,
    grapher,
    probes_of,
    require_provider,
)
from kring.testing.framework import COLUMNS, labels_of, rows, truth

LINK = Link(kind="onnx", file="links/model.onnx", inputs=tuple(column.name for column in COLUMNS))
KINDS = {column.name: column.kind for column in COLUMNS}
PROBES = [Batch(n, {"x": np.linspace(0, 1, n)}) for n in SIZES]


def model() -> bytes:
    batch = rows(200, seed=1)
    estimator = framework.builtin("linear", output="value", columns=COLUMNS, params={}, seed=0)
    fitted = framework.fit(estimator, batch, truth(batch, "value", seed=2), labels=labels_of("value"))
    return framework.export(fitted, COLUMNS)


class Watch:
    """A clock that only moves when somebody works."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """Answers twice its `x`, or nearly, in so many seconds."""

    def __init__(self, watch: Watch, *, needs: Callable[[int], float], off: float = 0.0, fails: bool = False) -> None:
        self.watch, self.needs, self.off, self.fails = watch, needs, off, fails
        self.is_open = True

    def answer(self, batch: Batch) -> Batch:
        if self.fails:
            raise Unavailable("out of memory over there")
        self.watch.now += self.needs(batch.n)
        return Batch(batch.n, {"value": np.asarray(batch.columns["x"]) * 2 + self.off})

    def close(self) -> None:
        self.is_open = False


def steady(seconds: float) -> Callable[[int], float]:
    return lambda n: seconds


class Machine:
    """Engines by name; `None` for one that can't be opened."""

    def __init__(self, **given: dict | None) -> None:
        self.watch = Watch()
        self.given = given
        self.opened: dict[str, Engine] = {}

    def open(self, name: str) -> Engine:
        how = self.given[name]
        if how is None:
            raise Unavailable(f"{name} has no driver")
        self.opened[name] = Engine(self.watch, **how)
        return self.opened[name]

    def choose(self, wanted: str = "auto") -> Choice:
        return choose(wanted, self.open, probes=PROBES, here=list(self.given), tick=self.watch)

    def still_open(self) -> list[str]:
        return [name for name, engine in self.opened.items() if engine.is_open]


def test_the_fastest_is_taken_and_the_others_are_closed():
    machine = Machine(cpu={"needs": steady(0.010)}, cuda={"needs": steady(0.002)}, dml={"needs": steady(0.005)})
    choice = machine.choose()
    assert (choice.provider, machine.still_open()) == ("cuda", ["cuda"])
    assert choice.why == "cpu 20000 µs, cuda 4000 µs, dml 10000 µs"
    assert choice.runtime is machine.opened["cuda"]


@pytest.mark.parametrize(("share", "taken"), [(MARGIN * 1.01, "cpu"), (MARGIN * 0.99, "cuda"), (3.0, "cpu")])
def test_a_little_faster_is_luck(share: float, taken: str):
    machine = Machine(cpu={"needs": steady(0.01)}, cuda={"needs": steady(0.01 * share)})
    assert machine.choose().provider == taken
    assert machine.still_open() == [taken]


def test_one_row_and_many_both_count():
    costly_to_start = {"needs": lambda n: 0.03}
    by_the_row = {"needs": lambda n: 0.0002 * n}
    assert Machine(cpu=by_the_row, cuda=costly_to_start).choose().provider == "cpu"
    assert Machine(cpu={"needs": lambda n: 0.002 * n}, cuda=costly_to_start).choose().provider == "cuda"


def test_a_hiccup_changes_nothing():
    machine = Machine(cpu={"needs": steady(0.01)}, cuda={})
    calls = iter(range(10_000))
    machine.given["cuda"] = {"needs": lambda n: 1.0 if next(calls) % ROUNDS == 7 else 0.002}
    assert machine.choose().provider == "cuda"


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"needs": steady(0.001), "off": 0.01}, "cuda is not taken: its answers lie 0.01 from those of the cpu"),
        ({"needs": steady(0.001), "off": np.nan}, "cuda is not taken: its answers lie inf from those of the cpu"),
        ({"needs": steady(0.001), "fails": True}, "cuda is not taken: out of memory over there"),
        (None, "cuda is not taken: cuda has no driver"),
    ],
)
def test_what_does_not_come_to_the_same_answers_is_not_taken_and_it_is_said(wanted: str, how: dict | None, why: str):
    machine = Machine(cpu={"needs": steady(0.01)}, cuda=how)
    choice = machine.choose(wanted)
    assert choice.provider == "cpu"
    assert why in choice.why
    assert machine.still_open() == ["cpu"]


def test_what_is_asked_for_is_taken_though_it_is_slower_once_it_agrees():
    machine = Machine(cpu={"needs": steady(0.001)}, cuda={"needs": steady(1.0), "off": 0.00005})
    assert machine.choose("cuda")[1:] == ("cuda", "asked for")
    assert machine.still_open() == ["cuda"]
    assert Machine(cpu={"needs": steady(1)}, cuda=None).choose("cpu")[1:] == ("cpu", "asked for")


def test_a_graph_that_no_probe_fits_is_left_to_the_processor():
    machine = Machine(cpu={"needs": steady(0.01), "fails": True}, cuda={"needs": steady(0.001)})
    choice = machine.choose()
    assert (choice.provider, choice.why) == ("cpu", "the others can't be tried: out of memory over there")


def test_alone_it_is_not_measured():
    machine = Machine(cpu={"needs": steady(0.01)})
    assert machine.choose()[1:] == ("cpu", "the only one here")
    assert machine.watch.now == 0


@pytest.mark.parametrize(
    "background",
    [
        None,
        Background(n=0, columns={}),
        Background(n=2, columns={column.name: [None, "a" if column.kind == "category" else 1.5] for column in COLUMNS}),
        Background(n=1, columns={COLUMNS[0].name: [2.0]}, withheld=tuple(column.name for column in COLUMNS[1:])),
    ],
)
def test_probes_are_rows_that_a_real_graph_answers(background: Background | None):
    said: list[Choice] = []
    graph = grapher("auto", background=background, kinds=KINDS, here=["cpu"], told=said.append)
    with_graph = graph(model(), LINK, output="value")
    for probe, n in zip(probes_of(LINK, background=background, kinds=KINDS), SIZES, strict=True):
        answer = np.asarray(with_graph.answer(probe).columns["value"])
        assert answer.shape == (n,)
        if background is None:
            assert np.isfinite(answer).all()
    assert [choice.provider for choice in said] == ["cpu"]
    with_graph.close()


def test_a_provider_that_this_machine_lacks_does_not_open():
    missing = next(long for long in PROVIDERS.values() if long not in onnxruntime.get_available_providers())
    with pytest.warns(UserWarning, match="not in available"), pytest.raises(Unavailable, match="does not work"):
        open_onnx(model(), LINK, output="value", provider=missing)
    assert isinstance(open_onnx(model(), LINK, output="value"), OnnxRuntime)


def test_nothing_here_sends_rows_elsewhere():
    assert available()[0] == "cpu"
    assert "AzureExecutionProvider" not in PROVIDERS.values()


@pytest.mark.parametrize("name", ["gpu", "CPU", "", "azure", "../cuda", "CPUExecutionProvider"])
def test_an_unknown_provider_is_refused_with_those_that_there_are(name: str):
    with pytest.raises(UserError, match="no such") as error:
        require_provider(name, here=["cpu", "cuda"])
    assert error.value.allowed == "auto, cpu, cuda"


def test_a_known_one_that_is_not_here_is_refused_with_what_to_do():
    with pytest.raises(UserError, match="not available") as error:
        require_provider("tensorrt", here=["cpu"])
    assert (error.value.allowed, error.value.key) == ("auto, cpu", "--provider")
    assert "install" in error.value.next

"""What computes a graph: the processor, or whatever else this machine has for it, chosen by measurement.

For serving alone. Evidence, replay and scoring are computed by the processor, so that they come out the same on every
machine (laws 7 and 12); a provider that does not come to the processor's answers is not taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import onnxruntime

from kring.errors import KringError, UserError
from kring.ports.runtime import Runtime
from kring.record.background import Background
from kring.record.batch import Batch, Column
from kring.record.version import Link, Output
from kring.runtimes.onnx import open_onnx

CPU, AUTO = "cpu", "auto"
PROVIDERS: Final = {
    CPU: "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "dml": "DmlExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "dnnl": "DnnlExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
"""By the names of `--provider`. One that would send rows to somebody else's machine is not among them."""

SIZES: Final = (1, 64)
ROUNDS: Final = 15
WARM: Final = 3
MARGIN: Final = 0.9
"""What another provider may need of the processor's time: a little less is luck, and workers should agree."""

SAME: Final = 1e-4
"""How far its numbers may lie from the processor's, absolutely and relatively."""

Open = Callable[[str], Runtime]
"""Opens the graph with a provider, by its short name."""


class Choice(NamedTuple):
    """The opened graph, what computes it, and why that."""

    runtime: Runtime
    provider: str
    why: str


def available() -> list[str]:
    """The providers that this build of ONNX Runtime has, the processor first."""
    here = onnxruntime.get_available_providers()
    return [name for name, long in PROVIDERS.items() if long in here]


def require_provider(name: str, *, here: Sequence[str]) -> None:
    """`UserError` for a provider that is not `here`."""
    if name not in (AUTO, *here):
        raise UserError(
            "this execution provider is not available" if name in PROVIDERS else "there is no such execution provider",
            got=repr(name)[:80],
            allowed=", ".join((AUTO, *here)),
            next="install the onnxruntime that was built with it" if name in PROVIDERS else "",
            key="--provider",
        )


def choose(
    wanted: str,
    open: Open,
    *,
    probes: Sequence[Batch],
    here: Sequence[str],
    tick: Callable[[], float] = time.perf_counter,
) -> Choice:
    """The graph opened with the provider that is `wanted`, or for `auto` with the fastest of those `here`.

    Fast is who needs the least for all `probes` together, the median of several rounds each. Whatever does not open,
    does not answer, or answers otherwise than the processor is not taken, and the reason says so.
    """
    others = [name for name in here if name != CPU] if wanted == AUTO else [wanted] * (wanted != CPU)
    cpu = open(CPU)
    if not others:
        return Choice(cpu, CPU, "the only one here" if wanted == AUTO else "asked for")
    try:
        truth = [cpu.answer(probe) for probe in probes]
    except KringError as error:
        return Choice(cpu, CPU, f"the others can't be tried: {error.message}")
    opened, notes = _opened(others, open, probes, truth=truth)
    opened = {CPU: cpu} | opened
    if wanted == AUTO:
        times = {name: seconds(runtime, probes, tick=tick) for name, runtime in opened.items()}
        best = min(times, key=lambda name: times[name] * (MARGIN if name == CPU else 1.0))
        notes = [*(f"{name} {needed * 1e6:.0f} µs" for name, needed in times.items()), *notes]
    else:
        best = wanted if wanted in opened else CPU
    for name in opened.keys() - {best}:
        opened[name].close()
    return Choice(opened[best], best, ", ".join(notes) or "asked for")


def seconds(runtime: Runtime, probes: Sequence[Batch], *, tick: Callable[[], float]) -> float:
    """What it takes to answer each of `probes` once: the sum of the medians."""
    return sum(median(_rounds(runtime, probe, tick)) for probe in probes)


def probes_of(link: Link, *, background: Background | None, kinds: Mapping[str, str]) -> list[Batch]:
    """Rows to try a graph with, one and many: of the version's own, else made up by the `kinds` of the inputs."""
    return [Batch(n, {name: _column(name, n, background, kinds) for name in link.inputs}) for n in SIZES]


def grapher(
    wanted: str,
    *,
    background: Background | None,
    kinds: Mapping[str, str],
    here: Sequence[str],
    told: Callable[[Choice], None],
) -> Callable[..., Runtime]:
    """An `open_graph` for `kring.runtimes.chain.open_chain` that chooses, and tells what it chose."""

    def open_graph(data: bytes, link: Link, *, output: Output, labels: int = 0) -> Runtime:
        choice = choose(
            wanted,
            lambda name: open_onnx(data, link, output=output, labels=labels, provider=PROVIDERS[name]),
            probes=probes_of(link, background=background, kinds=kinds),
            here=here,
        )
        told(choice)
        return choice.runtime

    return open_graph


def _opened(
    names: Sequence[str], open: Open, probes: Sequence[Batch], *, truth: Sequence[Batch]
) -> tuple[dict[str, Runtime], list[str]]:
    """The graph opened with each of `names` that is of use, and why the others are not."""
    opened, notes = {}, []
    for name in names:
        runtime, fault = _agreeing(name, open, probes, truth=truth)
        if runtime is not None:
            opened[name] = runtime
        else:
            notes.append(f"{name} is not taken: {fault}")
    return opened, notes


def _agreeing(name: str, open: Open, probes: Sequence[Batch], *, truth: Sequence[Batch]) -> tuple[Runtime | None, str]:
    """The graph opened with that provider; None with the reason when it is of no use."""
    try:
        runtime = open(name)
    except KringError as error:
        return None, error.message
    try:
        away = max(_apart(runtime.answer(probe), right) for probe, right in zip(probes, truth, strict=True))
    except KringError as error:
        runtime.close()
        return None, error.message
    if away <= SAME:
        return runtime, ""
    runtime.close()
    return None, f"its answers lie {away:.2g} from those of the cpu"


def _apart(said: Batch, right: Batch) -> float:
    """The largest difference between two answers, for large numbers relative to them; endless where one has none."""
    if said.n != right.n or said.columns.keys() != right.columns.keys():
        return float("inf")
    worst = 0.0
    for name, column in right.columns.items():
        one, other = (np.asarray(each, dtype=np.float64) for each in (said.columns[name], column))
        if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
            return float("inf")
        there = np.isfinite(other)
        gaps = np.abs(one[there] - other[there]) / np.maximum(1.0, np.abs(other[there]))
        worst = max(worst, float(gaps.max(initial=0.0)))
    return worst


def _rounds(runtime: Runtime, probe: Batch, tick: Callable[[], float]) -> list[float]:
    for _ in range(WARM):
        runtime.answer(probe)
    taken = []
    for _ in range(ROUNDS):
        began = tick()
        runtime.answer(probe)
        taken.append(tick() - began)
    return taken


def _column(name: str, n: int, background: Background | None, kinds: Mapping[str, str]) -> Column:
    """`n` values of an input, again from the first one when there are fewer."""
    known = background.columns.get(name, []) if background is not None else []
    if kinds.get(name) == "category":
        texts = [str(value) for value in known if value is not None] or [""]
        return np.array([texts[row % len(texts)] for row in range(n)], dtype=object)
    numbers = [np.nan if value is None else value for value in known] or list(np.linspace(-2, 2, max(SIZES)))
    return np.array([numbers[row % len(numbers)] for row in range(n)], dtype=np.float32)

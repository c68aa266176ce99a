"""What every tuner must do: stay within its ranges, repeat itself, survive failures, and learn.

class TestOptuna(TunerConformance):
    tuner = staticmethod(kring.tuners.optuna.open_tuner)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log10
from typing import ClassVar, Protocol

from kring.ports.tuner import Tuner
from kring.record.contract import Scalar
from kring.record.tuning import Range

RANGES = (
    Range(name="rate", low=1e-4, high=1.0, log=True),
    Range(name="share", low=0.25, high=0.75),
    Range(name="trees", low=3, high=40, whole=True),
    Range(name="rows", low=1, high=1000, whole=True, log=True),
    Range(name="kind", choices=("round", "square", "flat")),
)


class Open(Protocol):
    """How a tuner is opened."""

    def __call__(self, ranges: Sequence[Range], *, seed: int) -> Tuner: ...


Say = Callable[[dict[str, Scalar]], float | None]


def number(value: Scalar) -> float:
    assert isinstance(value, int | float)
    return value


def worth(params: dict[str, Scalar]) -> float:
    """Best, and 0, at a rate of 0.01 and a share of 0.5."""
    return -((log10(number(params["rate"])) + 2) ** 2) - 16 * (number(params["share"]) - 0.5) ** 2


def searched(tuner: Tuner, trials: int, *, say: Say = worth) -> list[dict[str, Scalar]]:
    """The settings that `tuner` asked for, when it was told what `say` says of each."""
    asked = []
    for _ in range(trials):
        asked.append(tuner.ask())
        tuner.tell(say(asked[-1]))
    return asked


class TunerConformance:
    """Inherit it, and name the function that opens the tuner."""

    tuner: ClassVar[Open]

    def test_settings_lie_within_their_ranges(self) -> None:
        for params in searched(self.tuner(RANGES, seed=1), 30):
            assert list(params) == [each.name for each in RANGES]
            for each in RANGES:
                value = params[each.name]
                if each.choices:
                    assert value in each.choices
                else:
                    assert each.low <= number(value) <= each.high
                    assert type(value) is (int if each.whole else float)

    def test_a_range_of_one_value_has_that_value(self) -> None:
        ranges = (Range(name="a", low=2, high=2, whole=True), Range(name="b", low=0.5, high=0.5))
        asked = searched(self.tuner(ranges, seed=0), 3, say=lambda params: number(params["a"]))
        assert asked == [{"a": 2, "b": 0.5}] * 3

    def test_the_same_seed_searches_the_same(self) -> None:
        first, again, other = (searched(self.tuner(RANGES, seed=seed), 25) for seed in (5, 5, 6))
        assert first == again
        assert first != other

    def test_failures_do_not_end_a_search(self) -> None:
        asked = searched(
            self.tuner(RANGES, seed=2), 25, say=lambda params: None if params["kind"] == "flat" else worth(params)
        )
        assert {params["kind"] for params in asked} == {"round", "square", "flat"}
        assert len({str(params) for params in asked}) > 20
        assert len(searched(self.tuner(RANGES, seed=2), 15, say=lambda params: params.clear())) == 15

    def test_it_learns(self) -> None:
        """The later settings are better than the first, which are chance."""
        found = [worth(each) for each in searched(self.tuner(RANGES, seed=3), 60)]
        first, last = sorted(found[:15])[7], sorted(found[-15:])[7]
        assert last > first / 2
        assert max(found) > -0.25

from __future__ import annotations

import pytest

from kring.record.tuning import Range
from kring.testing.tuner import TunerConformance
from kring.tuners.optuna import open_tuner


class TestOptuna(TunerConformance):
    tuner = staticmethod(open_tuner)


def test_nothing_is_told_before_it_was_asked() -> None:
    tuner = open_tuner((Range(name="a", low=0.0, high=1.0),), seed=0)
    with pytest.raises(ValueError, match="nothing was asked for"):
        tuner.tell(1.0)
    tuner.ask()
    tuner.tell(1.0)
    with pytest.raises(ValueError, match="nothing was asked for"):
        tuner.tell(1.0)


def test_a_search_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    tuner = open_tuner((Range(name="a", low=0.0, high=1.0),), seed=-3)
    tuner.ask()
    tuner.tell(None)
    assert capfd.readouterr() == ("", "")

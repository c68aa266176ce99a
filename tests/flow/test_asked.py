"""What kring.toml asks of candidates is held against what there is before anything is fitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from kring.errors import ConfigError
from kring.flow.asked import ranges_of
from kring.flow.project import open_project
from kring.record.system import Candidate, Tune
from kring.record.tuning import Range
from systems import kring, write_prices


def of(builtin: str = "", **ranges: tuple) -> Candidate:
    return Candidate(name="a", builtin=builtin, fit="" if builtin else "models.py:f", tune=Tune(ranges=ranges))


def test_a_builtins_params_say_how_they_are_searched() -> None:
    assert ranges_of(of("boosted", learning_rate=(0.01, 0.3), max_iter=(50, 500))) == (
        Range(name="learning_rate", low=0.01, high=0.3, log=True),
        Range(name="max_iter", low=50, high=500, whole=True),
    )
    assert ranges_of(of("linear", alpha=(1, 10))) == (Range(name="alpha", low=1, high=10, log=True),)


def test_a_functions_ranges_are_read_from_their_values() -> None:
    assert ranges_of(of(depth=(1, 9), share=(0, 0.5), rate=(0.001, 1.0), kind=("a", "b"), warm=(True, False))) == (
        Range(name="depth", low=1, high=9, whole=True),
        Range(name="share", low=0, high=0.5),
        Range(name="rate", low=0.001, high=1.0, log=True),
        Range(name="kind", choices=("a", "b")),
        Range(name="warm", choices=(True, False)),
    )


@pytest.mark.parametrize(
    ("candidate", "said", "key"),
    [
        (of("boosted", learning_rate=(0.3, 0.01)), "reversed", "tune.ranges.learning_rate"),
        (of("boosted", learning_rate=(0.1, 0.1)), "one value only", "tune.ranges.learning_rate"),
        (of("boosted", learning_rate=(0.1, 2.0)), "goes beyond", "tune.ranges.learning_rate"),
        (of("boosted", learning_rate=(0, 0.5)), "goes beyond", "tune.ranges.learning_rate"),
        (of("boosted", max_iter=(10.5, 20.5)), "goes beyond", "tune.ranges.max_iter"),
        (of("boosted", max_iter=()), "this is no range", "tune.ranges.max_iter"),
        (of("boosted", max_iter=(1, 2, 3)), "this is no range", "tune.ranges.max_iter"),
        (of("boosted", max_iter=(False, True)), "this is no range", "tune.ranges.max_iter"),
        (of("boosted", max_iter=("a", "b")), "this is no range", "tune.ranges.max_iter"),
        (of("boosted", max_itre=(1, 2)), "no parameter 'max_itre'", "tune.ranges.max_itre"),
        (of("xgboost", max_depth=(2, 40)), "goes beyond", "tune.ranges.max_depth"),
        (of("prior", alpha=(1, 2)), "no parameter", "tune.ranges.alpha"),
        (of(kind=("a",)), "nothing to choose from", "tune.ranges.kind"),
        (of(kind=("a", "b", "a")), "listed twice", "tune.ranges.kind"),
        (of(kind=()), "this is no range", "tune.ranges.kind"),
        (of(kind=("a", 1)), "this is no range", "tune.ranges.kind"),
        (Candidate(name="r", rule="1", tune=Tune(ranges={"a": (1, 2)})), "does not learn", "tune"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_range_is_named(candidate: Candidate, said: str, key: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        ranges_of(candidate)
    assert refused.value.key == key
    assert refused.value.allowed


def asking(folder: Path, more: str) -> Path:
    write_prices(folder)
    (folder / "kring.toml").write_text((folder / "kring.toml").read_text() + more)
    return folder


WRONG = """
[[candidate]]
name = "searched"
builtin = "forest"
tune = { ranges = { n_estimators = [50, 10], depth = [1, 2] } }

[[candidate]]
name = "written"
rule = "demand"
tune = { ranges = { demand = [1, 2] } }

[[candidate]]
name = "small"
of = "boosted"
precision = "int8"
columns = ["demand"]
params = { max_iter = 3 }

[evidence]
folds = 1
"""


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        open_project(asking(tmp_path / "prices", WRONG))
    told = {fault.key: fault for fault in refused.value.faults}
    assert set(told) == {
        "candidate[3].tune.ranges.n_estimators",
        "candidate[4].tune",
        "candidate[5].columns",
        "candidate[5].params",
        "evidence.folds",
    }
    lines = (tmp_path / "prices" / "kring.toml").read_text().splitlines()
    assert "n_estimators" in lines[told["candidate[3].tune.ranges.n_estimators"].line - 1]
    assert lines[told["evidence.folds"].line - 1] == "folds = 1"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[candidate]]\nname = "s"\nof = "nobody"\nprecision = "int8"\n', "no such fitted candidate"),
        ('[[candidate]]\nname = "s"\nof = "s"\nprecision = "int8"\n', "no such fitted candidate"),
        ('[[candidate]]\nname = "s"\nof = "linear"\nprecision = "int4"\n', "not allowed here"),
        ('[[candidate]]\nname = "s"\nof = "linear"\n', "says of which candidate it is"),
        ('[[candidate]]\nname = "s"\nbuiltin = "forest"\ntune = { ranges = {} }\n', "this table is empty"),
        ('[[candidate]]\nname = "s"\nbuiltin = "forest"\ntune = { trials = 0, ranges = { a = [1, 2] } }\n', ""),
        ('[[candidate]]\nname = "s"\nbuiltin = "woods"\n', "not allowed here"),
        ("[evidence]\nfolds = 21\n", "not allowed here"),
        ("[evidence]\nfolds = 2.5\n", "not allowed here"),
    ],
)
def test_what_can_not_be_asked_is_refused_by_check(more: str, said: str, tmp_path: Path) -> None:
    told = kring("check", asking(tmp_path / "prices", more), "--json")
    assert (told.code, told.json["error"]["code"]) == (2, "config")
    assert said in told.out


def test_the_gate_may_speak_of_cross_validation_when_there_is_one(tmp_path: Path) -> None:
    folder = asking(tmp_path / "prices", "")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("min_rows = 50", 'min_rows = 50\n"cross_validated.roc_auc" = "> 0.6"'))
    with pytest.raises(ConfigError) as refused:
        open_project(folder)
    assert [fault.key for fault in refused.value.faults] == ['gate."cross_validated.roc_auc"']
    file.write_text(file.read_text() + "\n[evidence]\nfolds = 3\n")
    assert open_project(folder).system.evidence.folds == 3

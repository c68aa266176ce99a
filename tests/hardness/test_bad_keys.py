"""The keys of splits, suppliers, searches, smaller variants, evidence and documents, broken in every way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from commands import contents, kring
from test_bad_config import Bad, swapped

SPLIT: Final = 'split = { by = "time", test = "14d" }'
COLUMNS: Final = 'columns = ["zone", "weight", "stops"]'
DEFAULT: Final = 'default = "false"'
RULE: Final = 'rule = "far"'
COMMANDS: Final = (("check",), ("go",), ("clean",), ("status",), ("score", "DIR/feed.csv", "DIR", "--out", "DIR/o.csv"))


def split(text: str) -> Callable[[Path], object]:
    return swapped(SPLIT, text)


def beside(text: str) -> Callable[[Path], object]:
    return swapped(SPLIT, f"{SPLIT}\n{text}")


def tune(text: str) -> Callable[[Path], object]:
    return swapped(COLUMNS, f"{COLUMNS}\ntune = {{ {text} }}")


def variant(text: str) -> Callable[[Path], object]:
    return swapped("[gate]", f'[[candidate]]\nname = "small"\n{text}\n\n[gate]')


def evidence(text: str) -> Callable[[Path], object]:
    return swapped("[gate]", f"[evidence]\n{text}\n\n[gate]")


def knowledge(text: str) -> Callable[[Path], object]:
    return swapped("[gate]", f"[knowledge]\n{text}\n\n[gate]")


def opened(text: str) -> Callable[[Path], object]:
    return swapped(DEFAULT, f"{DEFAULT}\nopen = {text}")


RANGE: Final = "candidate[1].tune.ranges.alpha"
HILL: Final = "evidence.slices.hill"

FAULTS: Final = {
    "groups without a group": Bad(
        split('split = { by = "group", test = 0.3 }'), "config", "data.split.by", "add group"
    ),
    "groups of nothing": Bad(
        split('group = "zon"\nsplit = { by = "group", test = 0.3 }'), "config", "data.group", "did you mean `zone`"
    ),
    "groups for a fortnight": Bad(
        split('group = "zone"\nsplit = { by = "group", test = "14d" }'), "config", "data.split.test", "between 0 and 1"
    ),
    "at random for a fortnight": Bad(
        split('split = { by = "random", test = "14d" }'), "config", "data.split.test", "have no time"
    ),
    "split by colour": Bad(split('split = { by = "colour" }'), "config", "data.split.by", "group"),
    "nothing held out": Bad(split("split = { test = 0 }"), "config", "data.split.test", "between 0 and 1"),
    "everything held out": Bad(split("split = { test = 1 }"), "config", "data.split.test", "between 0 and 1"),
    "less than nothing": Bad(split("split = { test = -0.5 }"), "config", "data.split.test", "between 0 and 1"),
    "no number held out": Bad(split("split = { test = nan }"), "config", "data.split.test", "nan"),
    "a list of splits": Bad(split('split = ["random"]'), "config", "data.split", "a table"),
    "a supplier of a number": Bad(beside("supplier = 3"), "config", "data.supplier", "a text"),
    "an unknown supplier": Bad(beside('supplier = "zon"'), "config", "data.supplier", "did you mean `zone`"),
    "a table for tables": Bad(beside('tables = "zones.csv"'), "config", "data.tables", "a table"),
    "a number for a table": Bad(beside("tables = { zones = 3 }"), "config", "data.tables.zones", "a text"),
    "no name of a table": Bad(beside('tables = { zones = "" }'), "config", "data.tables.zones", "a text"),
    "variant of an unknown": Bad(
        variant('of = "liner"\nprecision = "int8"'), "config", "candidate[2].of", "did you mean `linear`"
    ),
    "variant of itself": Bad(variant('of = "small"\nprecision = "int8"'), "config", "candidate[2].of", "linear"),
    "variant of a rule": Bad(variant('of = "by-stops"\nprecision = "int8"'), "config", "candidate[2].of", "linear"),
    "variant of a variant": Bad(
        variant('of = "linear"\nprecision = "int8"\n\n[[candidate]]\nname = "tiny"\nof = "small"\nprecision = "fp16"'),
        "config",
        "candidate[3].of",
        "linear",
    ),
    "variant without precision": Bad(variant('of = "linear"'), "config", "candidate[2]", "add precision"),
    "precision of nothing": Bad(variant('builtin = "linear"\nprecision = "int8"'), "config", "candidate[2]", "add of"),
    "four bits": Bad(
        variant('of = "linear"\nprecision = "int4"'), "config", "candidate[2].precision", "did you mean `int8`"
    ),
    "variant that learns": Bad(
        variant('of = "linear"\nprecision = "int8"\nbuiltin = "linear"'), "config", "candidate[2]", "exactly one"
    ),
    "variant with columns": Bad(
        variant('of = "linear"\nprecision = "int8"\ncolumns = ["zone"]'), "config", "candidate[2].columns", "linear"
    ),
    "search of a rule": Bad(
        swapped(RULE, f"{RULE}\ntune = {{ ranges = {{ alpha = [0.1, 1.0] }} }}"),
        "config",
        "candidate[0].tune",
        "does not learn",
    ),
    "search of nothing": Bad(tune("trials = 3"), "config", "candidate[1].tune.ranges", "missing"),
    "search of no range": Bad(tune("ranges = {}"), "config", "candidate[1].tune.ranges", "empty"),
    "search of an unknown": Bad(
        tune("ranges = { alpa = [0.1, 1.0] }"), "config", "candidate[1].tune.ranges.alpa", "alpha"
    ),
    "range reversed": Bad(tune("ranges = { alpha = [1.0, 0.1] }"), "config", RANGE, "swap the two"),
    "range of one value": Bad(tune("ranges = { alpha = [1.0, 1.0] }"), "config", RANGE, "under params"),
    "range without an end": Bad(tune("ranges = { alpha = [1.0] }"), "config", RANGE, "[lowest, highest]"),
    "range of three": Bad(tune("ranges = { alpha = [1.0, 2.0, 3.0] }"), "config", RANGE, "[lowest, highest]"),
    "range of a text": Bad(tune('ranges = { alpha = [1.0, "a"] }'), "config", RANGE, "[lowest, highest]"),
    "range beyond": Bad(tune("ranges = { alpha = [-2.0, -1.0] }"), "config", RANGE, "narrow the range"),
    "range to infinity": Bad(tune("ranges = { alpha = [1.0, inf] }"), "config", f"{RANGE}[1]", "inf"),
    "no trials": Bad(
        tune("trials = 0, ranges = { alpha = [0.1, 1.0] }"), "config", "candidate[1].tune.trials", "10000"
    ),
    "no time to search": Bad(
        tune('timeout = "0s", ranges = { alpha = [0.1, 1.0] }'), "config", "candidate[1].tune.timeout", "above zero"
    ),
    "one fold": Bad(evidence("folds = 1"), "config", "evidence.folds", "no cross-validation"),
    "folds below none": Bad(evidence("folds = -1"), "config", "evidence.folds", "at least 0"),
    "folds without end": Bad(evidence("folds = 21"), "config", "evidence.folds", "at most 20"),
    "folds in a text": Bad(evidence('folds = "5"'), "config", "evidence.folds", "without quotes"),
    "no behaviours": Bad(evidence('behaviours = "nowhere.toml"'), "config", "evidence.behaviours", "nowhere.toml"),
    "behaviours in a folder": Bad(evidence('behaviours = "."'), "config", "evidence.behaviours", "TOML file"),
    "behaviours of a feed": Bad(evidence('behaviours = "feed.csv"'), "config", "", "not TOML"),
    "behaviours of a system": Bad(evidence('behaviours = "kring.toml"'), "config", "system", "invariance"),
    "slice of nothing": Bad(evidence("slices = { hill = \"zne == 'hill'\" }"), "config", HILL, "did you mean 'zone'"),
    "slice of the target": Bad(evidence('slices = { hill = "late" }'), "config", HILL, "'late'"),
    "slice of numbers": Bad(evidence('slices = { hill = "weight + 1" }'), "config", HILL, "true or false"),
    "slice of two types": Bad(evidence('slices = { hill = "zone > 3" }'), "config", HILL, "one type"),
    "slice that runs code": Bad(evidence("slices = { hill = \"__import__('os')\" }"), "config", HILL, "no function"),
    "slice of no name": Bad(evidence('slices = { "a b" = "weight > 1" }'), "config", 'evidence.slices."a b"', "name"),
    "slices below none": Bad(evidence("max_slices = -1"), "config", "evidence.max_slices", "at least 0"),
    "no documents": Bad(knowledge(""), "config", "knowledge.documents", "missing"),
    "documents of none": Bad(knowledge("documents = []"), "config", "knowledge.documents", "too short"),
    "documents in a text": Bad(knowledge('documents = "*.md"'), "config", "knowledge.documents", "in brackets"),
    "passages of a word": Bad(
        knowledge('documents = ["*.md"]\nchunk = 5'), "config", "knowledge.chunk", "at least 100"
    ),
    "an open text": Bad(opened('"goal"'), "config", "frame.open", "in brackets"),
    "open twice": Bad(opened('["goal", "goal"]'), "config", "frame.open[1]", "listed twice"),
    "an open number": Bad(opened("[3]"), "config", "frame.open[0]", "a text"),
    "an open escape": Bad(opened('["\\u001b[31mred"]'), "config", "frame.open[0]", "a text"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_command_tells_a_fault_with_its_line(name: str, released: Path) -> None:
    bad = FAULTS[name]
    bad.make(released)
    before = contents(released)
    for words in COMMANDS:
        more = [word.replace("DIR", str(released)) for word in words[1:]]
        answer = kring(words[0], *(more or [released]))
        assert (answer.exit, answer.error["code"]) == (2, bad.code), (words, answer)
        assert bad.word in answer.text, (words, answer)
        faults = answer.error.get("faults") or [answer.error]
        found = [fault for fault in faults if fault["where"]["key"] == bad.key] if bad.key else faults
        assert found, faults
        assert found[0]["where"]["line"] > 0
        assert found[0]["where"]["file"]
    assert contents(released) == before


TOO_FEW: Final = {
    "two rows": ('split = { by = "order", test = 0.001 }', "the test part is too small"),
    "no row to learn from": ('split = { by = "random", test = 0.9999 }', "the train part is too small"),
    "the last centuries": ('split = { by = "time", test = "900w" }', "the train part is too small"),
    "three groups": ('group = "zone"\nsplit = { by = "group", test = 0.3 }', "too few groups"),
    "the outcome as a group": ('group = "late"\nsplit = { by = "group", test = 0.3 }', "the same outcome"),
}


@pytest.mark.parametrize("name", TOO_FEW)
def test_a_split_that_leaves_too_little_is_told_before_any_run(name: str, released: Path) -> None:
    text, word = TOO_FEW[name]
    split(text)(released)
    assert kring("check", released).exit == 0
    before = contents(released)
    answer = kring("train", released)
    assert (answer.exit, answer.error["code"]) == (2, "data"), answer
    assert word in answer.text, answer
    assert answer.error["next"], answer
    assert contents(released) == before


WRONG_TASKS: Final = {
    "several labels of two": ('"classification"', '"multiclass"', "three different values"),
    "answers in words": ('builtin = "linear"', 'builtin = "retrieval"', "answers in words"),
    "answers by hand": ('builtin = "linear"', 'builtin = "canned"', "answers in words"),
}


@pytest.mark.parametrize("name", WRONG_TASKS)
def test_another_kind_of_question_is_told(name: str, released: Path) -> None:
    old, new, word = WRONG_TASKS[name]
    swapped(old, new)(released)
    answer = kring("train", released)
    assert answer.exit in (1, 2), answer
    assert word in answer.text, answer


BEHAVIOURS: Final = {
    "empty": ("", "config"),
    "no TOML": ("[[example", "config"),
    "zeros": ("\0" * 50, "config"),
    "unknown table": ("[[exampel]]\nname = 'a'\n", "config"),
    "a number": ("example = 3\n", "config"),
    "no such input": ('[inputs.a]\nzoen = "hill"\n', "config"),
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_behaviours_that_are_none_stop_the_training(name: str, released: Path) -> None:
    text, code = BEHAVIOURS[name]
    evidence('behaviours = "behaviours.toml"')(released)
    (released / "behaviours.toml").write_text(text)
    before = contents(released)
    answer = kring("train", released)
    assert answer.exit == 2, answer
    assert answer.error["code"] in (code, "data"), answer
    assert contents(released) == before

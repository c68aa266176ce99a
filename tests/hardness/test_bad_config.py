"""kring.toml and the contract, broken in every way: every command says where and what to do, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from commands import contents, kring

CONTRACT: Final = "contract.odcs.yaml"
COMMANDS: Final = ("check", "train", "release", "status")
LOOKUP: Final = (
    '[lookup.z]\nkey = ["{key}"]\nvalue = "{value}"\nprior = 10\n\n[prepare]\nz = \'lookup("z", key=[zone])\''
)


class Bad(NamedTuple):
    """How it is broken, the error's code, the key of the fault, and a word of it or of its remedy."""

    make: Callable[[Path], object]
    code: str
    key: str
    word: str


def swapped(old: str, new: str, *, file: str = "kring.toml") -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return make


def raw(data: bytes, *, file: str = "kring.toml") -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(data)


def recoded(old: str, new: str, *, file: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_bytes(text.replace(old, new).encode("latin-1"))

    return make


def as_folder(file: str) -> Callable[[Path], object]:
    return lambda folder: ((folder / file).unlink(), (folder / file).mkdir())


LINEAR: Final = 'columns = ["zone", "weight", "stops"]'
FAR: Final = 'far = "stops / 20"'
GATE: Final = '"lift_over_baseline.roc_auc"'

FAULTS: Final = {
    "unknown key": Bad(swapped("[watch]", "[watch]\ncolour = 1"), "config", "watch.colour", "no key"),
    "misspelt key": Bad(swapped("owner =", "ownr ="), "config", "system.ownr", "did you mean `owner`"),
    "wrong type": Bad(swapped("min_rows = 100", 'min_rows = "many"'), "config", "gate.min_rows", "whole number"),
    "missing key": Bad(swapped('owner = "Logistics"\n', ""), "config", "system.owner", "missing"),
    "not UTF-8": Bad(recoded("Logistics", "Lögistics", file="kring.toml"), "data", "", "UTF-8"),
    "empty": Bad(raw(b""), "data", "", "empty"),
    "zeros": Bad(raw(bytes(1000)), "data", "", "zero byte"),
    "a folder": Bad(as_folder("kring.toml"), "data", "", "not a file"),
    "gone": Bad(lambda folder: (folder / "kring.toml").unlink(), "not_found", "", "no kring.toml"),
    "no TOML": Bad(raw(b"[system\n"), "config", "", "not TOML"),
    "steps of traffic": Bad(swapped("steps = []", "steps = [50, 5]"), "config", "rollout.steps", "steps = [5, 50]"),
    "unknown metric": Bad(swapped("roc_auc", "roc_acu"), "config", 'gate."lift_over_baseline.roc_acu"', "roc_auc"),
    "unknown metric, no lift": Bad(swapped(GATE, "rocauc"), "config", "gate.rocauc", "did you mean `roc_auc`"),
    "unknown operator": Bad(swapped('"> 0"', '"=> 0"'), "config", f"gate.{GATE}", ">="),
    "column not prepared": Bad(
        swapped(LINEAR, 'columns = ["wieght"]'), "config", "candidate[1].columns", "did you mean `weight`"
    ),
    "rule not prepared": Bad(swapped('"far"', '"fra"'), "config", "candidate[0].rule", "did you mean `far`"),
    "reads the target": Bad(swapped(FAR, 'far = "late"'), "config", "prepare.far", "known only later"),
    "reads the outcome's time": Bad(
        swapped(FAR, 'far = "arrived_at - ordered_at"'), "config", "prepare.far", "known only later"
    ),
    "reads nothing": Bad(swapped(FAR, 'far = "stosp / 20"'), "config", "prepare.far", "did you mean 'stops'"),
    "runs code": Bad(swapped(FAR, 'far = "__import__(1)"'), "config", "prepare.far", "no function"),
    "lookup by an unknown column": Bad(
        swapped("[prepare]", LOOKUP.format(key="zoen", value="late")), "config", "lookup.z.key", "did you mean `zone`"
    ),
    "lookup of an unknown column": Bad(
        swapped("[prepare]", LOOKUP.format(key="zone", value="laet")), "config", "lookup.z.value", "did you mean `late`"
    ),
    "unknown task": Bad(swapped('"classification"', '"clasification"'), "use", "system.task", "'classification'"),
    "unknown target": Bad(
        swapped('target = "late"', 'target = "laet"'), "config", "data.target", "did you mean `late`"
    ),
    "unknown time": Bad(swapped('time = "ordered_at"', 'time = "ordered"'), "config", "data.time", "ordered_at"),
    "unknown builtin": Bad(swapped('"linear"\ncol', '"lineal"\ncol'), "config", "candidate[1].builtin", "`linear`"),
    "unknown mistake": Bad(swapped("false_positive", "false_positiv"), "config", "frame.cost", "false_positiv"),
    "contract gone": Bad(lambda folder: (folder / CONTRACT).unlink(), "config", "", "can't be read"),
    "contract a folder": Bad(as_folder(CONTRACT), "config", "", "can't be read"),
    "contract empty": Bad(raw(b"", file=CONTRACT), "config", "", "empty"),
    "contract not UTF-8": Bad(recoded("name: parcels", "name: pärcels", file=CONTRACT), "config", "", "UTF-8"),
    "contract no YAML": Bad(raw(b"a: [b\n c: }", file=CONTRACT), "config", "", "not YAML"),
    "contract a list": Bad(raw(b"- 1\n", file=CONTRACT), "config", "", "wrong kind"),
    "contract runs code": Bad(raw(b'!!python/object/apply:os.system ["true"]', file=CONTRACT), "config", "", "tag"),
    "contract blows up": Bad(raw(b"a: &a [x, x]\nb: [*a, *a]\n", file=CONTRACT), "config", "", "alias"),
    "contract misspelt": Bad(
        swapped("logicalType: integer", "logicalTyp: integer", file=CONTRACT),
        "config",
        "schema[0].properties[3].logicalTyp",
        "did you mean 'logicalType'",
    ),
    "contract of an unknown type": Bad(
        swapped("logicalType: integer", "logicalType: integr", file=CONTRACT),
        "config",
        "schema[0].properties[3].logicalType",
        "did you mean 'integer'",
    ),
    "contract without a number": Bad(
        swapped("EqualTo: 200", "EqualTo: many", file=CONTRACT),
        "config",
        "schema[0].quality[0].mustBeGreaterOrEqualTo",
        "number",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_place_and_changes_nothing(name: str, command: str, released: Path) -> None:
    bad = FAULTS[name]
    bad.make(released)
    before = contents(released)
    answer = kring(command, released)
    assert (answer.exit, answer.error["code"]) == (2, bad.code), answer
    faults = answer.error.get("faults") or [answer.error]
    assert bad.word in answer.text, answer
    if bad.key:
        found = [fault for fault in faults if fault["where"]["key"] == bad.key]
        assert found, faults
        assert bad.code != "config" or found[0]["where"]["line"] > 0
        assert bad.code != "config" or found[0]["where"]["file"]
    assert contents(released) == before

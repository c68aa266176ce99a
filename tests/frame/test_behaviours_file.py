"""`behaviours.toml`: values in the contract's types, and every fault at once with its line."""

from pathlib import Path

import pytest

from kring.errors import ConfigError, DataError, KringError
from kring.frame.behaviours import Subject, label_of, read_behaviours
from kring.record.contract import Contract, Field

FIELDS = (
    Field(name="age", type="integer"),
    Field(name="income", type="number"),
    Field(name="plan", type="string"),
    Field(name="smoker", type="boolean"),
    Field(name="born", type="date"),
    Field(name="at", type="timestamp"),
    Field(name="churn", type="boolean"),
)
CONTRACT = Contract(id="x", name="x", version="1", table="t", fields=FIELDS)

GOOD = """
[inputs]
plan = "basic"
age = 40

[[example]]
name = "old and rich stay"
inputs = { age = 80, income = 1, born = "1944-05-01", at = "2024-01-01T00:00:00Z", smoker = false }
decision = false
below = 0.2

[[invariance]]
name = "the plan does not matter"
change = "plan"
to = ["basic", "gold"]
tolerance = 0.01

[[direction]]
name = "income helps"
change = "income"
by = -10
output = "not lower"
rows = [{ income = 5 }]
"""


def read(tmp_path: Path, text: str | bytes, *, output: str = "probability", labels: tuple[str, ...] = ()):
    file = tmp_path / "behaviours.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_behaviours(file, subject=Subject(CONTRACT, {"churn"}, output, labels))


def faults(tmp_path: Path, text: str, **more: object) -> dict[str, ConfigError]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, **more)
    assert all(fault.line and fault.file.endswith("behaviours.toml") for fault in caught.value.faults)
    return {fault.key: fault for fault in caught.value.faults}


def test_values_come_in_the_types_of_the_contract(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, labels=("false", "true"))
    (example,), (invariance,), (direction,) = found.examples, found.invariances, found.directions
    assert example.inputs == {
        "plan": "basic",
        "age": 80,
        "income": 1.0,
        "born": -9376,
        "at": 1_704_067_200_000_000,
        "smoker": False,
    }
    assert example.decision == "false"
    assert (example.above, example.below, example.line) == (None, 0.2, 6)
    assert (invariance.sample, invariance.rows, invariance.line) == (100, (), 12)
    assert direction.rows == ({"plan": "basic", "age": 40, "income": 5.0},)
    assert direction.sample == 0
    assert len(found.digest) == 64


EXAMPLE = '[[example]]\nname = "e"\n'
INVARIANCE = '[[invariance]]\nname = "i"\n'
DIRECTION = '[[direction]]\nname = "d"\n'


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("[inputs]\nage = 3\n", "", "there is no test in this file"),
        (EXAMPLE + "inputs = { agee = 1 }\nabove = 0.5\n", "example[0].inputs.agee", "there is no such field"),
        (EXAMPLE + "inputs = { churn = true }\nabove = 0.5\n", "example[0].inputs.churn", "known only later"),
        (EXAMPLE + 'inputs = { age = "old" }\nabove = 0.5\n', "example[0].inputs.age", "can't be this value"),
        (EXAMPLE + "inputs = { age = 1.5 }\nabove = 0.5\n", "example[0].inputs.age", "can't be this value"),
        (EXAMPLE + 'inputs = { born = "soon" }\nabove = 0.5\n', "example[0].inputs.born", "can't be this value"),
        (EXAMPLE + "inputs = { plan = 3 }\nabove = 0.5\n", "example[0].inputs.plan", "can't be this value"),
        (EXAMPLE + "inputs = { age = nan }\nabove = 0.5\n", "example[0].inputs.age", "not allowed here"),
        (EXAMPLE + "inputs = {}\n", "example[0]", "not said what the answer should be"),
        (EXAMPLE + "above = 0.5\n", "example[0].inputs", "this key is missing"),
        (EXAMPLE + "inputs = {}\nabove = 0.5\nbelow = 0.4\n", "example[0].below", "no output is both"),
        (EXAMPLE + "inputs = {}\nabove = 1.5\n", "example[0].above", "no probability is this large"),
        (EXAMPLE + "inputs = {}\nbelow = -0.5\n", "example[0].below", "no probability is this small"),
        (EXAMPLE + 'inputs = {}\nabove = "high"\n', "example[0].above", "not allowed here"),
        (EXAMPLE + 'inputs = {}\ndecision = "perhaps"\n', "example[0].decision", "no such label"),
        (EXAMPLE + 'inputs = {}\nabove = 0.5\nlabel = "perhaps"\n', "example[0].label", "no such label"),
        (EXAMPLE + "inputs = {}\nabove = 0.5\ncolour = 3\n", "example[0].colour", "no key of this name"),
        (INVARIANCE + 'change = "plan"\nto = []\n', "invariance[0].to", "the list is too short"),
        (INVARIANCE + 'change = "plan"\nto = ["a", 3]\n', "invariance[0].to[1]", "can't be this value"),
        (INVARIANCE + 'change = "plan"\nto = ["a", "a"]\n', "invariance[0].to[1]", "listed twice"),
        (INVARIANCE + 'change = "plans"\nto = ["a"]\n', "invariance[0].change", "there is no such field"),
        (INVARIANCE + 'change = "plan"\nto = ["a"]\ntolerance = -1\n', "invariance[0].tolerance", "not allowed"),
        (INVARIANCE + 'change = "plan"\nto = ["a"]\nsample = 0\n', "invariance[0].sample", "not allowed"),
        (INVARIANCE + 'change = "plan"\nto = ["a"]\nrows = [{ agee = 1 }]\n', "invariance[0].rows[0].agee", "no such"),
        (DIRECTION + 'change = "plan"\nby = 1\noutput = "not lower"\n', "direction[0].change", "only a number"),
        (DIRECTION + 'change = "age"\nby = 0.5\noutput = "not lower"\n', "direction[0].by", "whole number"),
        (DIRECTION + 'change = "age"\nby = 0\noutput = "not lower"\n', "direction[0].by", "changes nothing"),
        (DIRECTION + 'change = "age"\nby = 1\noutput = "higher"\n', "direction[0].output", "not allowed"),
        ("[[examples]]\n", "examples", "there is no table of this name"),
        ('example = "x"\n', "example", "not allowed here"),
    ],
)
def test_a_fault_is_named_with_its_key(tmp_path: Path, text: str, key: str, words: str) -> None:
    found = faults(tmp_path, text, labels=("false", "true"))
    assert key in found, list(found)
    assert words in found[key].message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = EXAMPLE + "inputs = { agee = 1 }\n" + EXAMPLE + 'inputs = { plan = 3 }\ndecision = "perhaps"\n'
    assert set(faults(tmp_path, text, labels=("false", "true"))) == {
        "example[0].inputs.agee",
        "example[0]",
        "example[1].name",
        "example[1].inputs.plan",
        "example[1].decision",
    }


def test_labels_are_held_against_the_target_once_it_was_seen(tmp_path: Path) -> None:
    text = EXAMPLE + 'inputs = {}\ndecision = "perhaps"\n'
    assert read(tmp_path, text).examples[0].decision == "perhaps"
    assert "no such label" in faults(tmp_path, text, labels=("no", "yes"))["example[0].decision"].message


def test_of_several_labels_one_is_meant(tmp_path: Path) -> None:
    labels, text = ("a", "b", "c"), EXAMPLE + "inputs = {}\nabove = 0.5\n"
    assert "whose probability" in faults(tmp_path, text, output="probabilities", labels=labels)["example[0]"].message
    assert read(tmp_path, text + 'label = "b"\n', output="probabilities", labels=labels).examples[0].label == "b"


def test_a_number_has_bounds_and_no_label_and_is_never_met_exactly(tmp_path: Path) -> None:
    text = EXAMPLE + 'inputs = {}\nabove = 500\ndecision = 3\nlabel = "x"\n'
    found = faults(tmp_path, text, output="value")
    assert set(found) == {"example[0].decision", "example[0].label"}
    assert read(tmp_path, EXAMPLE + "inputs = {}\nabove = 500\n", output="value").examples[0].above == 500


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xfe\x00", b"\x80abc", b"[[example", b"a = 1\na = 2\n"])
def test_what_is_no_toml_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        read(tmp_path, content)
    assert "behaviours.toml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KringError, match=r"there is no file behaviours\.toml"):
        read_behaviours(tmp_path / "behaviours.toml", subject=Subject(CONTRACT, (), "probability"))


def test_labels_are_written_as_policies_write_them() -> None:
    assert [label_of(value) for value in (True, False, 1, 2.0, 2.5, "x")] == ["true", "false", "1", "2", "2.5", "x"]

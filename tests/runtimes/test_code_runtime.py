"""Code as a runtime: the suite of all runtimes, what a function may give, and where its modules come from."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from typing import ClassVar

import msgspec
import numpy as np
import pytest
from code_links import KINDS, linked, misbehaving, opened

from kring.errors import IntegrityError, Unavailable
from kring.ports.runtime import Runtime
from kring.record.batch import Batch
from kring.record.prepare import Prepared, PreparedColumn
from kring.record.version import Chain, Link, Output, Policy
from kring.runtimes.chain import open_chain
from kring.runtimes.code import PIECE, CodeRuntime, open_code
from kring.testing.runtime import RuntimeConformance

EACH = """
import numpy as np

def score(columns, files):
    word = np.array([len(text) for text in columns["word"]])
    return 1 / (1 + np.exp(-(columns["x"] + 2 * columns["y"] - word)))

def value(columns, files):
    return 10 * score(columns, files)

def several(columns, files):
    yes = score(columns, files)
    return np.stack([yes / 2, yes / 2, 1 - yes], axis=1)
"""


def rows(n: int) -> Batch:
    chance = np.random.default_rng(5)
    columns = {name: chance.normal(size=n).astype(np.float32) for name in ("x", "y")}
    return Batch(n, {**columns, "word": chance.choice(["", "a", "bb", "été"], n).astype(object)})


class CodeConformance(RuntimeConformance):
    function = "score"
    shared: ClassVar[dict[type, CodeRuntime]] = {}

    def runtime(self) -> Runtime:
        """One for all questions, until it is closed: a process takes its time to start."""
        found = self.shared.get(type(self))
        if found is None or found._keeper.closed:
            labels = tuple("abc")[: self.labels]
            found = opened(EACH, function=self.function, inputs=("x", "y", "word"), output=self.output, labels=labels)
            self.shared[type(self)] = found
        return found

    def batch(self) -> Batch:
        return rows(12)


class TestProbability(CodeConformance):
    output = "probability"


class TestValue(CodeConformance):
    output = "value"
    function = "value"


class TestSeveralLabels(CodeConformance):
    output = "probabilities"
    function = "several"
    labels = 3


EVALUATES = """
import numpy as np

def score(columns, files):
    x = columns["x"]
    return eval(columns["word"][0], {"np": np, "x": x, "n": len(x)})
"""


@cache
def evaluating(output: Output, labels: tuple[str, ...]) -> CodeRuntime:
    return opened(EVALUATES, inputs=("x", "word"), output=output, labels=labels)


def given(text: str, *values: float, output: Output = "value", labels: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """What comes out of a function that gives `text`, an expression over the column `x` of `n` values."""
    batch = Batch(len(values), {"x": np.array(values, dtype=np.float32), "word": [text] * len(values)})
    return {name: np.asarray(column) for name, column in evaluating(output, labels).answer(batch).columns.items()}


def numbers(*values: float) -> Batch:
    return Batch(len(values), {"x": np.array(values, dtype=np.float32)})


@pytest.mark.parametrize(
    "text",
    ["x", "x.tolist()", "x.astype(np.float64)", "tuple(x)", "np.ma.array(x)", "x[::-1][::-1]", "np.asfortranarray(x)"],
)
def test_a_function_gives_numbers_in_any_form(text: str):
    np.testing.assert_array_equal(given(text, 0.5, 2.0)["value"], [0.5, 2.0])


@pytest.mark.parametrize("text", ["x > 1", "(x > 1).astype(int)", "[bool(one > 1) for one in x]"])
def test_yes_and_no_count_as_1_and_0(text: str):
    np.testing.assert_array_equal(given(text, 0.5, 2.0, output="probability")["probability"], [0.0, 1.0])


@pytest.mark.parametrize("gap", ["None", "float('nan')", "float('inf')", "-float('inf')", "1.5", "-0.1"])
def test_what_is_no_probability_is_no_answer_and_leaves_its_neighbours_theirs(gap: str):
    found = given(f"[0.5, {gap}, 1.0]", 1, 2, 3, output="probability")["probability"]
    np.testing.assert_array_equal(found, [0.5, np.nan, 1.0])


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("None", "NoneType"),
        ("['0.5'] * n", "<U3"),
        ("[object()] * n", "object"),
        ("x + 1j", "complex"),
        ("{'a': x}", "it gives a"),
        ("np.array(['2024-01-01'] * n, dtype='datetime64[D]')", "datetime64"),
        ("x[:1]", "shape (1,)"),
        ("np.concatenate([x, x])", "shape (4,)"),
        ("x.reshape(-1, 1)", "shape (2, 1)"),
        ("np.float64(0.5)", "shape ()"),
        ("0.5", "shape ()"),
        ("[[0.5], [0.5, 0.5]]", "ValueError"),
    ],
)
def test_anything_else_is_unavailable_and_says_what_it_was(text: str, got: str):
    with pytest.raises(Unavailable) as refused:
        given(text, 1, 2)
    assert got in str(refused.value)


def test_one_number_is_not_an_answer_to_one_row():
    with pytest.raises(Unavailable, match="row by row"):
        given("0.5", 1)


def test_labels_may_be_named():
    labels = {"output": "probabilities", "labels": ("a", "b")}
    np.testing.assert_allclose(given("{'b': x, 'a': 1 - x}", 0.25, **labels)["probabilities"], [[0.75, 0.25]])
    np.testing.assert_allclose(given("np.stack([x, 1 - x], axis=1)", 0.25, **labels)["probabilities"], [[0.25, 0.75]])
    with pytest.raises(Unavailable, match="row by row"):
        given("x", 0.25, **labels)
    for text in ("{'a': x}", "{'a': x, 'b': x, 'c': x}", "{'a': x, 3: x}"):
        with pytest.raises(Unavailable) as refused:
            given(text, 0.25, **labels)
        assert "a, b" in refused.value.got


def test_answers_in_words():
    text = "{'answer': ['this', 'été 🙂'], 'citations': [['a.md', 'b.md'], 'c.md'], 'support': [1, 0.25]}"
    said = given(text, 1, 2, output="answer")
    assert list(said["answer"]) == ["this", "été 🙂"]
    assert list(said["citations"]) == ["a.md b.md", "c.md"]
    np.testing.assert_array_equal(said["support"], [1.0, 0.25])
    empty = evaluating("answer", ()).answer(Batch(0, {"x": [], "word": []}))
    assert {name: len(column) for name, column in empty.columns.items()} == dict.fromkeys(said, 0)


@pytest.mark.parametrize(
    ("answer", "support"),
    [("[None, 'b']", "[1, 1]"), ("[3, 'b']", "[1, 1]"), ("['a', 'b']", "[2, 1]"), ("['a', 'b']", "[None, 1]")],
)
def test_a_row_without_a_text_or_support_has_no_answer(answer: str, support: str):
    text = f"{{'answer': {answer}, 'citations': ['', ''], 'support': {support}}}"
    np.testing.assert_array_equal(given(text, 1, 2, output="answer")["support"], [np.nan, 1.0])


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{'answer': ['a'] * n}",
        "{'answer': ['a'], 'citations': [''] * n, 'support': x}",
        "{'answer': ['a'] * n, 'citations': [''] * n, 'support': x[:1]}",
        "{'answer': ['a'] * n, 'citations': [''] * n, 'support': ['1'] * n}",
    ],
)
def test_other_forms_are_no_answers_in_words(text: str):
    with pytest.raises(Unavailable, match="no answer"):
        given(text, 1, 2, output="answer")


def test_columns_can_be_changed_in_place_and_keep_their_order():
    source = """
def score(columns, files):
    assert list(columns) == ["y", "word", "x"], list(columns)
    columns["x"][columns["x"] > 1] = 1
    return columns["x"]
"""
    with closing(opened(source, inputs=("y", "word", "x"))) as runtime:
        batch = Batch(2, {"x": [0.5, 3.0], "y": [0.0, 0.0], "word": ["a", "b"]})
        np.testing.assert_array_equal(runtime.answer(batch).columns["value"], [0.5, 1.0])
        assert batch.columns["x"] == [0.5, 3.0]


def test_another_kind_of_column_is_named():
    with closing(opened(EACH, inputs=("x", "y", "word"))) as runtime:
        for name, values in (("x", ["a", "b"]), ("word", [1.0, 2.0]), ("word", ["a", None])):
            batch = {"x": [1.0, 2.0], "y": [1.0, 2.0], "word": ["a", "b"], name: values}
            with pytest.raises(Unavailable, match=f"another kind of column {name}"):
                runtime.answer(Batch(2, batch))


def test_a_long_batch_is_asked_in_pieces_and_answered_as_one():
    values = np.arange(3 * PIECE + 7, dtype=np.float32)
    np.testing.assert_array_equal(given("x", *values)["value"], values)
    assert set(given("[n] * n", *values)["value"]) == {PIECE, 7}


def test_sources_data_and_what_is_loaded_once():
    files = {
        "own/models.py": b"""
import json
from shapes import double
from parts.more import add
import parts

def load(files):
    print("loaded")
    return json.loads(files["data/table.json"])

def score(columns, table):
    return add(double(columns["x"]), table["plus"])
""",
        "own/shapes.py": b"def double(x):\n    return 2 * x\n",
        "own/parts/more.py": b"from shapes import double\ndef add(x, y):\n    return x + y\n",
        "data/table.json": b'{"plus": 5}',
    }
    with closing(opened(files, file="own/models.py")) as runtime:
        np.testing.assert_array_equal(runtime.answer(numbers(1, 2)).columns["value"], [7.0, 9.0])


def test_without_load_the_function_is_handed_the_bytes():
    with closing(
        opened({"models.py": b"def score(columns, files): return columns['x'] * len(files['a.txt'])", "a.txt": b"four"})
    ) as runtime:
        np.testing.assert_array_equal(runtime.answer(numbers(2)).columns["value"], [8.0])


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def other(columns, files): pass", "has no function score"),
        ("score = 3", "has no function score"),
        ("def score(:", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import os\nos._exit(7)", "ended with code 7"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("def load(files): return files['not there']\ndef score(columns, files): pass", "KeyError"),
        ("x = bytearray(4 << 30)", "MemoryError"),
        ("\x00", "SyntaxError"),
        ("é = '\udcff'", "SyntaxError"),
    ],
)
def test_code_that_cant_be_opened_says_why(source: str, why: str):
    with pytest.raises(Unavailable) as refused:
        opened(source.encode("utf-8", "surrogateescape"))
    assert why in str(refused.value)
    assert "models.py" in str(refused.value)


def test_where_it_failed_is_told():
    with closing(misbehaving("raise ValueError('not today')")) as runtime, pytest.raises(Unavailable) as refused:
        runtime.answer(numbers(-1))
    assert "ValueError" in refused.value.message
    assert "not today" not in refused.value.message, (
        "messages stand in decision records; what an error says may be personal"
    )
    assert refused.value.got.endswith("not today (models.py, line 9)")


PREPARED = msgspec.json.encode(Prepared(columns=(PreparedColumn(name="x", expression="x", kind="number"),)))
PREPARE = Link(kind="prepare", file="prepare.json")


def test_the_chain_runs_it_and_checks_every_file():
    files, link = linked({"models.py": b"import more\ndef score(columns, files): return columns['x']", "more.py": b""})
    chain = Chain(candidate="own", links=(PREPARE, link), policy=Policy(output="value"))
    files["prepare.json"] = PREPARED
    with open_chain(chain, files) as runtime:
        np.testing.assert_array_equal(runtime.answer(numbers(3)).columns["value"], [3.0])
    for name in ("links/code/models.py", "links/code/more.py"):
        with pytest.raises(IntegrityError, match="not what the chain pins"):
            open_chain(chain, {**files, name: files[name] + b"\n"})
        with pytest.raises(IntegrityError, match="no file"):
            open_chain(chain, {other: data for other, data in files.items() if other != name})


def test_a_link_of_another_form_is_refused():
    files, link = linked("def score(columns, files): return columns['z']", inputs=("z",))
    with pytest.raises(IntegrityError, match="not a link that can be run"):
        open_code(files, link, KINDS, output="value")
    with pytest.raises(IntegrityError, match="not a link that can be run"):
        open_code(files, msgspec.structs.replace(link, inputs=("x",), code=None), KINDS, output="value")

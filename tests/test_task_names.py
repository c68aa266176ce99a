"""Only the rooms that know what kind of question a system answers may name one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "kring"
ROOMS = {"tasks", "runtimes", "retrieval", "generation"}
NAMES = sorted(path.stem for path in (SOURCE / "tasks").glob("*.py") if path.stem != "__init__")
WORD = re.compile(rf"(?<![A-Za-z])({'|'.join(NAMES)})(?![A-Za-z])")

FOREIGN = {(f"contracts/{file}.py", "classification") for file in ("odcs_keys", "odcs_old_keys", "odcs_upgrade")}
"""Words of other standards: ODCS says `classification` for how confidential a column is."""


def documentation(tree: ast.AST) -> set[int]:
    """The ids of expressions that are a bare string: docstrings."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every identifier, module name and string that is no documentation, with its line."""
    documented = documentation(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in documented:
                yield line, node.value
            continue
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield line, value


def named(source: str) -> list[tuple[int, str]]:
    return [(line, word) for line, word in words(ast.parse(source)) if WORD.search(word)]


def test_the_search_finds_what_it_is_for():
    assert {"classification", "multiclass", "regression"} <= set(NAMES)
    for guilty in (
        'task = "classification"',
        "from kring.tasks.regression import TASK",
        "import kring.tasks.classification",
        "def is_classification(): ...",
        "x = f'{y}/regression'",
        "f(classification=1)",
    ):
        assert named(guilty), guilty
    for innocent in (
        '"""About classification."""',
        "# regression",
        "from sklearn.linear_model import LogisticRegression",
    ):
        assert not named(innocent), innocent


def test_nothing_else_names_a_task():
    found = [
        (str(path.relative_to(SOURCE)), line, word)
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).parts[0] not in ROOMS
        for line, word in named(path.read_text(encoding="utf-8"))
    ]
    assert [each for each in found if (each[0], each[2]) not in FOREIGN] == []

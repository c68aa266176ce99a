"""Sizes bind the tail: short files, short bodies, flat code, small classes."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXCEPTIONS = Path(__file__).with_name("sizes.txt")
LINES, BODY, NESTING, METHODS = 400, 40, 4, 15

SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCK = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that hold code: no blanks, no comments, no docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            lines.difference_update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def depth(statements: list[ast.stmt], level: int = 0) -> int:
    """How deep blocks stand in each other; `elif` is no deeper than its `if`, an inner function begins anew."""
    deepest = level
    for node in statements:
        if not isinstance(node, BLOCK):
            continue
        deepest = max(deepest, level + 1)
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(node, name, [])
            same = name == "orelse" and isinstance(node, ast.If) and len(inner) == 1 and isinstance(inner[0], ast.If)
            deepest = max(deepest, depth(inner, level if same else level + 1))
        for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            deepest = max(deepest, depth(part.body, level + 1))
    return deepest


def too_large(source: str, name: str, *, bodies: bool = True) -> Iterator[str]:
    """What breaks the rules in one file, a line for each."""
    lines = code_lines(source)
    if len(lines) > LINES:
        yield f"{name} has more than {LINES} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTION) and bodies:
            first, last = node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno
            if len(lines & set(range(first, last + 1))) > BODY:
                yield f"{name}:{node.name} has more than {BODY} lines"
            if depth(node.body) > NESTING:
                yield f"{name}:{node.name} is nested deeper than {NESTING}"
        if isinstance(node, ast.ClassDef) and sum(isinstance(part, FUNCTION) for part in node.body) > METHODS:
            yield f"{name}:{node.name} has more than {METHODS} methods"


def found() -> set[str]:
    broken: set[str] = set()
    for folder, bodies in (("src", True), ("examples", True), ("scripts", True), ("tests", False)):
        for file in sorted((ROOT / folder).rglob("*.py")):
            name = str(file.relative_to(ROOT))
            broken.update(too_large(file.read_text(encoding="utf-8"), name, bodies=bodies))
    return broken


def allowed() -> set[str]:
    lines = EXCEPTIONS.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_nothing_is_larger_than_the_house_allows() -> None:
    broken = sorted(found() - allowed())
    assert not broken, "\n".join(broken)


def test_the_list_of_exceptions_only_shrinks() -> None:
    mended = sorted(allowed() - found())
    assert not mended, "small enough now, take off the list: " + ", ".join(mended)


DEEP = "".join("    " * level + "if x:\n" for level in range(1, 6)) + "    " * 6 + "y\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\n" * 401, "m has more than 400 lines"),
        ("x = 1\n" * 400 + "# word\n\n", ""),
        ("def f():\n" + "    x = 1\n" * 41, "m:f has more than 40 lines"),
        ('def f():\n    """Words.\n\n    More.\n    """\n' + "    x = 1\n" * 40, ""),
        (
            "def f():\n" + "".join("    " * n + "if x:\n" for n in range(1, 6)) + "    " * 6 + "y\n",
            "m:f is nested deeper",
        ),
        ("def f():\n    if a:\n        b\n" + "    elif c:\n        d\n" * 9, ""),
        ("def f():\n    try:\n        a\n    except E:\n        if a:\n            b\n", ""),
        ("class C:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(16)), "m:C has more than 15 methods"),
    ],
)
def test_each_rule_finds_what_it_is_for(source: str, complaint: str) -> None:
    complaints = list(too_large(source, "m"))
    assert len(complaints) == bool(complaint)
    assert all(told.startswith(complaint) for told in complaints)

"""What a server's log holds of faults: where they were, and nothing of what was decided (law 11)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kring
from kring.errors import ConfigError, DataError, KringError, way_of

SOURCE = Path(kring.__file__).parent
SERVER = ("api", "console", "serve", "telemetry", "flow/serving", "flow/duty", "flow/operating", "flow/watching")


def parsed(row: str) -> float:
    return float(row)


def asked(row: str) -> float:
    try:
        return parsed(row)
    except ValueError as error:
        raise KeyError(row) from error


def fault(row: str) -> BaseException:
    with pytest.raises(KeyError) as raised:
        asked(row)
    return raised.value


def test_a_fault_is_told_by_its_way_without_its_words() -> None:
    told = way_of(fault("Jane Roe"))
    assert "Jane Roe" not in told
    assert [line for line in told.splitlines() if not line.startswith(" ")] == ["ValueError", "after this:", "KeyError"]
    for name in ("in parsed", "in asked", Path(__file__).name):
        assert name in told


def test_causes_that_go_round_end() -> None:
    one, other = ValueError("Jane"), KeyError("Roe")
    one.__cause__, other.__cause__ = other, one
    assert way_of(one) == "KeyError\nafter this:\nValueError"


ONE = ConfigError("no such column", got="Jane Roe", file="/data/kring.toml", line=7, key="data.target")
OTHER = ConfigError("this is not TOML", got="Jane Roe", file="/data/kring.toml", line=9)


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (KringError("it broke", got="Jane Roe"), "it broke"),
        (DataError("it broke", got="Jane Roe", file="/data/feed.csv"), "it broke (feed.csv)"),
        (DataError("it broke", got="Jane Roe", file="feed.csv", line=7), "it broke (feed.csv, line 7)"),
        (ConfigError("2 faults", faults=(ONE, OTHER)), "data.target: no such column (kring.toml, line 7), and 1 more"),
        (ConfigError("1 fault", faults=(OTHER,)), "this is not TOML (kring.toml, line 9)"),
        (ConfigError("none told", file="kring.toml"), "none told (kring.toml)"),
    ],
)
def test_what_lasts_of_an_error_is_its_message_and_its_place(error: KringError, lasting: str) -> None:
    assert error.lasting == lasting


@pytest.mark.parametrize("room", SERVER)
def test_no_server_logs_an_error_with_its_words(room: str) -> None:
    """Neither `exception(…)` nor `exc_info`: both print what an error says."""
    found = []
    for file in sorted((SOURCE / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("exception", "print_exc", "print_exception") or any(
                    one.arg == "exc_info" for one in node.keywords
                ):
                    found.append(f"{file.name}:{node.lineno}")
    assert found == []

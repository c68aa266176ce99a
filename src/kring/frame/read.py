"""Reads `kring.toml`."""

from __future__ import annotations

from pathlib import Path

from kring.frame.build import build
from kring.frame.places import key_text
from kring.frame.reading import Reading, read_types
from kring.frame.rules import read_rules
from kring.frame.source import Source, broken, open_source
from kring.record.system import System


def read(path: Path) -> System:
    """The system that `path` describes: a `kring.toml`, or the folder that holds one.

    `ConfigError` with every fault at once, each with file, line and key; `NotFound` without such a
    file; `DataError` for bytes that are no text.
    """
    return _checked(open_source(path))


def read_with_lines(path: Path) -> tuple[System, dict[str, int]]:
    """As `read`, and the line of every key that stands in the file: `{"data.target": 12, …}`."""
    source = open_source(path)
    return _checked(source), {key_text(key): line for key, line in source.places.lines.items()}


def _checked(source: Source) -> System:
    reading = Reading(source)
    read_types(reading)
    read_rules(reading)
    if reading.faults:
        raise broken(source.file, reading.faults)
    return build(source)

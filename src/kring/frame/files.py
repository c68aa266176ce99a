"""What candidates need from the system's folder: their functions, and the files of code."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from kring.frame.kinds import FORM
from kring.frame.places import Key
from kring.frame.reading import Reading
from kring.frame.wording import did_you_mean, shown

PLAIN: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*/){0,4}[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""What lies under the same path in every version: at most four folders deep."""

MOST_FILES: Final = 200


def read_files(reading: Reading, key: Key) -> None:
    """Add a fault for each file that the candidate at `key` names and that is not there, lies outside of the
    folder, or can't be put into a version."""
    function = f'"{FORM}" in the system\'s folder'
    if text := reading.text((*key, "fit")):
        _there(reading, (*key, "fit"), text.rpartition(":")[0], allowed=function)
    code = reading.text((*key, "code")).rpartition(":")[0]
    if code and _there(reading, (*key, "code"), code, allowed=function):
        _plain(reading, (*key, "code"), code)
    _beside(reading, key, code)
    for number, name in enumerate(_names(reading, key)):
        each = (*key, "files", number)
        if not _there(reading, each, name, allowed="a file in the system's folder") or not _plain(reading, each, name):
            continue
        if PurePosixPath(name) == PurePosixPath(code):
            reading.fault(each, "this is the file of the code itself", got=shown(name), next="leave it out here")


def _beside(reading: Reading, key: Key, code: str) -> None:
    """What goes with code and what doesn't."""
    entries = reading.entries(key)
    if "files" in entries and "code" not in entries:
        reading.fault((*key, "files"), "only code takes files", next='add code = "models.py:score", or remove them')
    for name in ("params", "tune"):
        if code and entries.get(name):
            reading.fault((*key, name), f"code takes no {name}", next="write them into the file, or into one of files")
    if len(_names(reading, key)) > MOST_FILES:
        reading.fault(
            (*key, "files"),
            "these are too many files",
            got=str(len(_names(reading, key))),
            allowed=f"{MOST_FILES} at the most",
            next="put what belongs together into one file",
        )


def _names(reading: Reading, key: Key) -> tuple[str, ...]:
    found = reading.good.get((*key, "files"))
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, tuple) else ()


def _there(reading: Reading, key: Key, name: str, *, allowed: str) -> bool:
    """Whether the folder holds the file `name`; a fault when it does not."""
    file = PurePosixPath(name)
    folder = reading.source.folder
    inside = not file.is_absolute() and ".." not in file.parts
    try:
        there = inside and (folder / file).is_file()
        if there and (folder / file).resolve().is_relative_to(folder.resolve()):
            return True
        others = [path.name for path in sorted(folder.glob(f"*{file.suffix}"))]
    except OSError:  # a name that no disk takes
        there, others = False, []
    if inside and not there:
        message, next = f"there is no file {file}", did_you_mean(str(file), others, otherwise="write the file")
    else:
        message, next = "the file lies outside of the system's folder", "copy it into the folder"
    reading.fault(key, message, got=shown(reading.raw(key)), allowed=allowed, next=next)
    return False


def _plain(reading: Reading, key: Key, name: str) -> bool:
    """Whether a version can hold the file under its name."""
    if PLAIN.fullmatch(name):
        return True
    reading.fault(
        key,
        "a version can't hold a file of this name",
        got=shown(name),
        allowed="letters, digits, _, - and . in at most four folders, such as data/table.json",
        next="rename it",
    )
    return False

"""Files that somebody may be writing to at this moment."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

QUIET_S: Final = 0.05
"""A file to which nobody has written for so long is whole."""

PATIENCE_S: Final = 2.0


def settle(paths: Collection[Path]) -> bool:
    """Return when nobody has written to any of the files for a moment, and whether that is so: one that is written in
    place may be read half, and half a file may hold. False when somebody still does after two seconds. What is not
    there, or was written in the future, is not waited for."""
    end = time.monotonic() + PATIENCE_S
    while (left := max(map(_unquiet, paths), default=0.0)) > 0:
        if time.monotonic() > end:
            return False
        time.sleep(left)
    return True


def _unquiet(path: Path) -> float:
    """For how many seconds the file has to be left alone yet."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
    return QUIET_S - age if 0 <= age < QUIET_S else 0.0

"""The two examples of this repository, copied and released as a newcomer would do it; flights in a short form."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from systems import kring

ROOT: Final = Path(__file__).parents[1]
AT_ONCE: Final = '\n[rollout]\nshadow = "0d" # nothing but this test asks\n'

FLIGHT: Final[dict[str, Any]] = {
    "decided_at": "2013-04-02T22:00:00Z",
    "departs_at": "2013-04-03T20:00:00Z",
    "arrives_at": "2013-04-03T23:00:00Z",
    "carrier": "UA",
    "flight": 1545,
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "hour": 16,
    "distance": 1400.0,
}


def support(folder: Path) -> Path:
    """The example beside the handbook that it answers from, released; a later version answers at once."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "choices").glob("*.md")):
        target = folder / page.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, target)
    made = copied("support", folder)
    with (made / "kring.toml").open("a") as file:
        file.write(AT_ONCE)
    return released(made)


def flights(folder: Path) -> Path:
    """January to March, with the rule and one model, released."""
    made = copied("flights", folder)
    config = made / "kring.toml"
    text = config.read_text()
    for name in ("linear", "forest"):
        text, found = re.subn(rf'\[\[candidate\]\]\nname = "{name}"\n(?:.+\n)+\n', "", text)
        assert found == 1, name
    config.write_text(text)
    feed = [sys.executable, str(made / "feed.py"), str(made / "feed" / "2013.parquet")]
    subprocess.run(feed, check=True, timeout=120)
    return released(made, "--as-of", "2013-04-01")


def copied(name: str, folder: Path) -> Path:
    """The files of an example, and no state."""
    without = shutil.ignore_patterns(".kring", "feed", "__pycache__")
    return Path(shutil.copytree(ROOT / "examples" / name, folder / "examples" / name, ignore=without))


def released(folder: Path, *options: str) -> Path:
    told = kring("go", folder, *options)
    assert told.code == 0, told.err
    return folder

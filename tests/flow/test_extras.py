"""Without the optional packages everything else works, and what needs them says what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from systems import write_prices

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from kring.cli.app import run
assert run(["check", {folder!r}]) == 0
sys.exit(run(["train", {folder!r}, *{words!r}, "--json"]))
"""


def trained_without(*absent: str, folder: Path, words: tuple[str, ...] = ()) -> tuple[int, dict]:
    """`kring check`, which needs none of them, then `kring train` in a Python that lacks `absent`: exit code and
    answer."""
    program = BLOCKED.format(absent=absent, folder=str(folder), words=words)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def asking(folder: Path, more: str) -> Path:
    write_prices(folder)
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("\n[gate]", f"{more}\n[gate]"))
    return folder


@pytest.mark.parametrize(
    ("absent", "more", "key", "line"),
    [
        (
            "lightgbm",
            '[[candidate]]\nname = "light"\nbuiltin = "lightgbm"\n',
            "candidate.builtin",
            "pip install 'kring[boosting]'",
        ),
        (
            "optuna",
            '[[candidate]]\nname = "found"\nbuiltin = "forest"\ntune = { ranges = { n_estimators = [5, 9] } }\n',
            "candidate.tune",
            "pip install 'kring[tune]'",
        ),
    ],
)
def test_what_is_missing_is_told_before_anything_is_fitted(
    absent: str, more: str, key: str, line: str, tmp_path: Path
) -> None:
    folder = asking(tmp_path / "prices", more)
    code, told = trained_without(absent, folder=folder)
    assert code == 2
    error = told["error"]
    assert (error["code"], error["next"], error["where"]["key"]) == ("missing_extra", line, key)
    assert f"the package {absent}, which is not installed" in error["message"]
    runs = folder / ".kring" / "runs"
    assert not runs.exists() or not list(runs.iterdir())


def test_without_any_extra_the_other_candidates_are_trained(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    extras = ("lightgbm", "xgboost", "onnxmltools", "optuna")
    code, told = trained_without(*extras, folder=folder, words=("--candidate", "linear"))
    assert code == 0
    assert [one["run"]["state"] for one in told["runs"]] == ["done", "done"]

"""Starting is quick because little is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("numpy", "scipy", "polars", "sklearn", "skl2onnx", "onnx", "onnxruntime", "deltalake", "pandas", "pyarrow"),
    *("vl_convert", "jinja2", "cryptography", "yaml", "tree_sitter", "sqlite3", "multiprocessing"),
)


def imported(program: str) -> set[str]:
    code = f"import sys\n{program}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "program",
    [
        "import kring",
        "from kring.cli.app import run; run(['--help'])",
        "from kring.cli.app import run; run(['--version'])",
        "from kring.cli.app import run; run(['--json', '--version'])",
    ],
)
def test_nothing_heavy_is_imported(program: str) -> None:
    assert imported(program) & set(HEAVY) == set()


def test_importing_kring_brings_neither_commands_nor_records() -> None:
    assert imported("import kring") & {"click", "msgspec", "rich"} == set()

"""Every code block in the README and the docs runs, and shows what really comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_ONLY = {"text", "toml", "yaml", "json", "csv", "svg", "sh"}
SECONDS = 120


class Block(NamedTuple):
    kind: str
    text: str
    line: int


class Command(NamedTuple):
    typed: str
    shown: str


def blocks(page: Path) -> list[Block]:
    source = page.read_text(encoding="utf-8")
    return [
        Block(found["kind"].strip(), found["text"], source.count("\n", 0, found.start()) + 2)
        for found in FENCE.finditer(source)
    ]


def commands(text: str) -> list[Command]:
    """`$ ` begins a command, `> ` goes on with it, all else is what it showed."""
    typed: list[str] = []
    shown: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
            shown.append("")
        elif line.startswith("> ") and typed and not shown[-1]:
            typed[-1] += f"\n{line[2:]}"
        elif typed:
            shown[-1] += f"{line}\n"
    return [Command(*pair) for pair in zip(typed, shown, strict=True)]


def agrees(shown: str, real: str) -> bool:
    """White space does not matter, and `...` stands for anything."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in shown.split("..."))
    return re.fullmatch(pattern, " ".join(real.split()), re.DOTALL) is not None


def run(command: Command, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.typed],
        cwd=folder,
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"$ {command.typed}\n{done.stdout}"
    if command.shown.strip():
        assert agrees(command.shown, done.stdout), (
            f"$ {command.typed}\n{done.stdout}\nbut the page shows\n{command.shown}"
        )


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
def test_what_a_page_shows_really_happens(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.kind == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
        elif block.kind == "console":
            for command in commands(block.text):
                run(command, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in blocks(page):
        assert block.kind in {"python", "console", "console no-run"} | SHOWN_ONLY, f"{name(page)}:{block.line}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_that_is_not_run_names_a_target_of_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for block in blocks(page):
        if block.kind == "console no-run":
            for command in commands(block.text):
                if command.typed.startswith("make"):
                    assert command.typed.split()[1] in targets, f"{name(page)}:{block.line}: {command.typed}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|(?:src|srcset|href)=\"([^\"#]+)\"", text):
        target = link[0] or link[1]
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{name(page)}: {target}"


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ("a  b\n", "a b", True),
        ("rows ... of\n", "rows 12\n13 of\n", True),
        ("...", "anything", True),
        ("a", "a b", False),
        ("a.c", "abc", False),
    ],
)
def test_output_is_compared_loosely_but_compared(shown: str, real: str, same: bool) -> None:
    assert agrees(shown, real) is same


def test_a_command_may_go_on_over_lines() -> None:
    assert commands("$ cat <<'END'\n> one\n> END\none\n$ true\n") == [
        Command("cat <<'END'\none\nEND", "one\n"),
        Command("true", ""),
    ]

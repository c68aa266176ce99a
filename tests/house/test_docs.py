"""Every code block in the README and the docs runs, and shows what really comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from served import Server, free_port, typed

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
    pattern = ".*".join(re.escape("".join(part.split())) for part in shown.split("..."))
    return re.fullmatch(pattern, "".join(real.split())) is not None


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


class Served:
    """The server of a page: `console server` holds the one command that starts it, and it runs until the page ends.

    The blocks behind it speak to 127.0.0.1:8000 (and 8001 for gRPC), which stand for ports that are free here, and find
    the key that it showed in KRING_KEY.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._setenv = monkeypatch.setenv
        self._ports: dict[str, str] = {}
        self._running: list[Server] = []

    def here(self, text: str) -> str:
        """`text` with the ports of this run."""
        return re.sub(r"(?<=127\.0\.0\.1:)800[01]\b", lambda found: self._ports.get(found[0], found[0]), text)

    def start(self, text: str) -> None:
        """Start what the block types, in place of the server that ran before."""
        self.stop()
        (command,) = commands(text)
        assert "kring serve" in command.typed, command.typed
        self._ports = self._ports or {"8000": str(free_port()), "8001": str(free_port())}
        line = command.typed.replace("--grpc-port 8001", f"--grpc-port {self._ports['8001']}")
        started = typed(
            f"{line} --port {self._ports['8000']}",
            self._folder,
            port=int(self._ports["8000"]),
            grpc_port=int(self._ports["8001"]),
        )
        self._running.append(started)
        if started.key:
            self._setenv("KRING_KEY", started.key)
        if command.shown.strip():
            real = started.log.read_text()
            assert agrees(self.here(command.shown), real), f"{real}\nbut the page shows\n{command.shown}"

    def stop(self) -> None:
        """End it."""
        while self._running:
            self._running.pop().stop()


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
def test_what_a_page_shows_really_happens(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    namespace: dict[str, object] = {"__name__": "__main__"}
    server = Served(tmp_path, monkeypatch)
    try:
        for block in blocks(page):
            text = server.here(block.text)
            if block.kind == "python":
                exec(compile("\n" * (block.line - 1) + text, str(page), "exec"), namespace)
            elif block.kind == "console":
                for command in commands(text):
                    run(command, tmp_path)
            elif block.kind == "console server":
                server.start(block.text)
    finally:
        server.stop()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in blocks(page):
        assert block.kind in {"python", "console", "console server", "console no-run"} | SHOWN_ONLY, (
            f"{name(page)}:{block.line}"
        )


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
        ('{"a":1,\n"b":2}', '{"a":1,"b":2}', True),
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

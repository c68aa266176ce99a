"""Code that answers questions: trained, released, asked; what it can't answer is answered by the baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import handbook
from systems import kring

WORDS = """
import json
import numpy as np

def load(files):
    return json.loads(files["pages.json"])

def answer(columns, pages):
    said = []
    for question in columns["question"]:
        if "segfault" in question:
            import ctypes
            ctypes.string_at(0)
        words = set(question.lower().strip("?").split())
        found = sorted(pages, key=lambda name: -len(words & set(pages[name].lower().split())))[:3]
        shared = len(words & set(pages[found[0]].lower().split())) / max(len(words), 1)
        said.append((pages[found[0]][:200], found, min(1.0, shared)))
    return {"answer": [one for one, _, _ in said], "citations": [one for _, one, _ in said],
            "support": [one for _, _, one in said]}
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = handbook.make(tmp_path_factory.mktemp("worded") / "handbook")
    pages = {f"docs/{path.name}": path.read_text() for path in (folder / "docs").glob("*.md")}
    (folder / "pages.json").write_text(json.dumps(pages))
    (folder / "words.py").write_text(WORDS)
    own = '\n[[candidate]]\nname = "own"\ncode = "words.py:answer"\nfiles = ["pages.json"]\n'
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("\n[gate]", f"{own}\n[gate]"))
    for words in (("check",), ("train", "--candidate", "own")):
        told = kring(words[0], folder, *words[1:])
        assert told.code == 0, told.err
    told = kring("release", folder, "--candidate", "own", "--json")
    assert told.code == 0, told.err
    return folder


def test_it_answers_with_its_page(live: Path):
    told = kring("ask", "Do dogs stay for free?", live, "--json")
    assert told.code == 0, told.err
    reply = told.json
    assert reply["answered_by"] == reply["version"]
    assert reply["fallback"] == ""
    assert reply["citations"][0].startswith("docs/")
    assert 0 <= reply["support"] <= 1


def test_a_question_that_ends_its_process_is_answered_by_the_baseline(live: Path):
    told = kring("ask", "Do dogs segfault for free?", live, "--json")
    assert told.code == 0, told.err
    assert told.json["answered_by"] == f"{told.json['version']}/baseline"
    assert "was ended by SIGSEGV" in told.json["fallback"]
    assert kring("ask", "Do dogs stay for free?", live, "--json").json["fallback"] == ""

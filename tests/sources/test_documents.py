"""Documents from files: what is read, and why the rest is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kring.errors import DataError
from kring.sources.documents import MOST_BYTES, read_documents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "system").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Berths\n\nFree.", encoding="utf-8")
    return tmp_path / "system"


def test_names_are_those_of_the_pattern_without_the_steps_up(folder: Path):
    (folder / "b.txt").write_text("Two.")
    (folder / "deep").mkdir()
    (folder / "deep" / "c.rst").write_text("Three.")
    library = read_documents(folder, ["../docs/*.md", "b.txt", "**/*.rst"])
    assert [(each.id, each.form) for each in library.documents] == [
        ("b.txt", "text"),
        ("deep/c.rst", "markdown"),
        ("docs/a.md", "markdown"),
    ]
    assert library.skipped == ()
    assert all(len(each.digest) == 64 for each in library.documents)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("e.md", b"", "empty"),
        ("e.md", b" \n\xe2\x80\x83\n", "empty"),
        ("e.md", b"# a\x00b", "NUL bytes"),
        ("e.md", "größe".encode("latin-1"), "not UTF-8, at byte 2"),
        ("e.md", "text".encode("utf-16"), "not UTF-8"),
        ("e.md", b"%PDF-1.7\x00", "NUL bytes"),
        ("e.pdf", b"%PDF-1.7", "ends with .pdf"),
        ("e", b"text", "ends with nothing"),
        ("e e.md", b"text", "a blank in its name"),
        ("e.md", b"# Berths\n\nFree.", "the same as docs/a.md"),
        ("e.md", b"x" * (MOST_BYTES + 1), "more than 4"),
    ],
)
def test_what_is_no_document_is_skipped_with_the_reason(folder: Path, name: str, data: bytes, reason: str):
    (folder.parent / "docs" / name).write_bytes(data)
    library = read_documents(folder, ["../docs/*"])
    assert [each.id for each in library.documents] == ["docs/a.md"]
    (skipped,) = library.skipped
    assert skipped.id == f"docs/{name}"
    assert reason in skipped.reason


def test_links_are_not_followed(folder: Path):
    (folder / "secret.txt").write_text("secret")
    os.symlink(folder / "secret.txt", folder.parent / "docs" / "z.txt")
    os.symlink(folder / "nowhere.txt", folder.parent / "docs" / "y.txt")
    library = read_documents(folder, ["../docs/*"])
    assert [each.id for each in library.documents] == ["docs/a.md"]
    assert {(each.id, each.reason) for each in library.skipped} == {
        ("docs/y.txt", "a link, not a file"),
        ("docs/z.txt", "a link, not a file"),
    }


def test_a_mark_at_the_beginning_and_foreign_scripts_are_read(folder: Path):
    (folder / "b.md").write_bytes(b"\xef\xbb\xbf# \xd7\x9e\xd7\x96\xd7\x97\n\nok")
    (folder / "c.md").write_text("a \u202eb", encoding="utf-8")
    library = read_documents(folder, ["*.md"])
    assert library.documents[0].text.startswith("# מזח")
    assert library.notes == ("c.md holds marks that turn the direction of a text; they are taken out",)


@pytest.mark.parametrize("pattern", ["", ".", "..", "/etc/*.md", "docs/../../x.md", "none/*.md", "../docs/none.md"])
def test_patterns_that_lead_nowhere_are_told(folder: Path, pattern: str):
    with pytest.raises(DataError) as caught:
        read_documents(folder, ["../docs/*.md", pattern])
    assert caught.value.key == "knowledge.documents"


def test_without_any_document_the_reasons_are_told(folder: Path):
    (folder / "a.md").write_text("")
    with pytest.raises(DataError, match=r"a\.md: empty"):
        read_documents(folder, ["*.md"])


def test_two_documents_of_one_name_are_refused(folder: Path):
    (folder / "docs").mkdir()
    (folder / "docs" / "a.md").write_text("another")
    with pytest.raises(DataError, match="two documents have one name"):
        read_documents(folder, ["docs/*.md", "../docs/*.md"])
    assert len(read_documents(folder, ["docs/*.md", "docs/a.md"]).documents) == 1


def test_a_pipe_keeps_nobody_waiting(folder: Path):
    os.mkfifo(folder / "pipe.md")
    library = read_documents(folder, ["../docs/*.md", "*.md"])
    assert [(each.id, each.reason) for each in library.skipped] == [("pipe.md", "no plain file")]

"""The support example from its questions to an answer on record, as its guide walks it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kring.errors import IntegrityError, Unavailable, Unsupported, UserError
from kring.flow import adapters, asking
from kring.flow.asking import ask
from kring.flow.project import open_project
from kring.indexes.sqlite import SqliteIndex
from kring.testing.index import STRANGE
from systems import Told, kring, write_loans

ROOT = Path(__file__).parents[2]


def copied(folder: Path) -> Path:
    """The example beside the handbook it answers from."""
    (folder / "docs").mkdir(parents=True)
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "choices").glob("*.md")):
        target = folder / page.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(page, target)
    shutil.copytree(
        ROOT / "examples" / "support", folder / "examples" / "support", ignore=shutil.ignore_patterns(".kring")
    )
    return folder / "examples" / "support"


@pytest.fixture(scope="module")
def went(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Told]:
    folder = copied(tmp_path_factory.mktemp("handbook"))
    return folder, kring("go", folder, "--json")


@pytest.fixture
def folder(went: tuple[Path, Told], tmp_path: Path) -> Path:
    """A copy of the released system that a test may break."""
    shutil.copytree(went[0].parents[1], tmp_path / "copy")
    return tmp_path / "copy" / "examples" / "support"


def test_it_goes_from_questions_to_a_signed_version(went: tuple[Path, Told]):
    folder, told = went
    assert told.code == 0, told.err
    compared = json.loads(json.dumps(kring("compare", folder, "--json").json))
    assert "recall_at_10" in json.dumps(compared)
    version = kring("status", folder, "--json").json["live"]
    assert version["candidate"] == "search"
    assert (folder / ".kring" / "versions" / version["id"] / "links" / "index.sqlite").exists()
    assert (folder / ".kring" / "versions" / version["id"] / "baseline" / "links" / "answers.json").exists()
    assert kring("status", folder, "--verify").code == 0


def test_an_answer_is_on_record_with_its_page(folder: Path):
    told = kring("ask", "How do I go back to the version before?", folder, "--json")
    reply = told.json
    assert (told.code, reply["found"]) == (0, True)
    assert "docs/commands.md#kring-rollback" in reply["citations"]
    assert reply["answered_by"] == reply["version"] == kring("status", folder, "--json").json["live"]["id"]
    lineage = kring("trace", reply["decision"], folder, "--json").json
    facts = {node["kind"]: node["facts"] for node in lineage["nodes"]}
    assert "go back to the version before" in facts["decision"]["inputs"]
    assert facts["decision"]["citations"].split() == reply["citations"]
    assert facts["run"]["documents"].startswith("SHA-256 ")
    assert list(facts)[:2] == ["decision", "version"]
    shown = kring("ask", "How do I go back to the version before?", folder)
    assert reply["citations"][0] in shown.out
    assert "kring trace d_" in shown.out
    why = kring("explain", reply["decision"], folder, "--json").json
    assert (why["method"], why["contributions"]) == ("citations", [])
    assert why["reasons"] == [f"it stands in {name}" for name in reply["citations"]]
    assert why["value"] == pytest.approx(reply["support"])


def test_where_nothing_is_found_it_says_so(folder: Path):
    for question in ("zzyzx quux?", "???", "שלום", "🙂"):
        reply = kring("ask", question, folder, "--json").json
        assert (reply["answer"], reply["found"]) == ("no answer found", False)


def test_no_question_is_wrong_use(folder: Path):
    before = sorted((folder / ".kring" / "log").glob("*")) if (folder / ".kring" / "log").exists() else []
    for words in (["ask", "", folder], ["ask", " \n", folder], ["ask"], ["ask", "x", folder / "none"]):
        assert kring(*words).code == 2, words
    after = sorted((folder / ".kring" / "log").glob("*")) if (folder / ".kring" / "log").exists() else []
    assert after == before


@pytest.mark.parametrize("question", [text for text in STRANGE if text.strip()], ids=lambda text: ascii(text[:12]))
def test_any_question_has_an_answer_or_none(went: tuple[Path, Told], question: str):
    reply = ask(open_project(went[0]), question)
    assert reply.answered_by == reply.version
    assert reply.found == (reply.answer != "no answer found")
    assert 0 <= reply.support <= 1


def test_more_than_a_question_is_refused(went: tuple[Path, Told]):
    with pytest.raises(UserError, match="more than a question"):
        ask(open_project(went[0]), "x" * (asking.MOST_BYTES + 1))


def test_the_baseline_stands_in_for_an_index_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def torn(self: SqliteIndex, question: str) -> list[object]:
        raise Unavailable("the index is torn")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteIndex, "search", torn)
        reply = ask(open_project(folder), "Which exit code stands for wrong use?")
    assert reply.answered_by == f"{reply.version}/baseline"
    assert "the index is torn" in reply.fallback
    assert reply.citations == ("docs/errors.md#exit-codes",)
    facts = kring("trace", reply.decision, folder, "--json").json["nodes"][0]["facts"]
    assert facts["answered by"].endswith("/baseline")

    def closed(data: bytes) -> SqliteIndex:
        raise IntegrityError("this is not an index of Kring", got=str(len(data)))

    monkeypatch.setattr(adapters, "open_index", closed)
    reply = ask(open_project(folder), "Which exit code stands for wrong use?")
    assert reply.answered_by == f"{reply.version}/baseline"
    assert "not an index" in reply.fallback


def test_a_version_that_was_touched_answers_nothing(folder: Path):
    version = kring("status", folder, "--json").json["live"]["id"]
    index = folder / ".kring" / "versions" / version / "links" / "index.sqlite"
    data = bytearray(index.read_bytes())
    data[-1] ^= 1
    index.write_bytes(data)
    told = kring("ask", "Which exit code stands for wrong use?", folder, "--json")
    assert told.code == 3
    assert "index.sqlite" in told.out


def test_systems_that_answer_otherwise_have_no_questions(tmp_path: Path):
    with pytest.raises(Unsupported, match="does not answer questions in words"):
        ask(open_project(write_loans(tmp_path / "loans")), "Will it be paid back?")


def test_before_a_version_is_live_it_says_what_to_do(tmp_path: Path):
    folder = copied(tmp_path / "fresh")
    told = kring("ask", "anything?", folder)
    assert told.code == 2
    assert "kring go" in told.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('builtin = "retrieval"', 'builtin = "retrieval"\nparams = { k9 = 1 }', "k9"),
        ('builtin = "retrieval"', 'builtin = "retrieval"\nparams = { b = 2 }', "b from 0 to 1"),
        ('builtin = "retrieval"', 'builtin = "retrieval"\nparams = { k = "many" }', "int"),
        ("answers.toml", "../../README.md", "a file in the system's folder"),
        ("answers.toml", "questions.jsonl", "answers written by hand"),
        ("answers.toml", "none.toml", "none.toml"),
        ('"../../README.md", ', '"../../NONE.md", ', "NONE.md"),
        ("[knowledge]", "[evidence]\nfolds = 0\n\n[knowledge]\nchunk = 5", "chunk"),
    ],
)
def test_what_is_wrong_with_a_candidate_is_told(tmp_path: Path, old: str, new: str, said: str):
    folder = copied(tmp_path / "wrong")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace(old, new))
    told = kring("go", folder, "--json")
    runs = json.dumps(told.json) + told.err
    assert said in runs
    assert told.code != 0


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('name = "lin"\nbuiltin = "linear"', "does not answer in words"),
        ('name = "small"\nof = "search"\nprecision = "int8"', "fewer bytes"),
        ('name = "rule"\nrule = "1"', "rule"),
    ],
)
def test_candidates_that_do_not_answer_in_words_are_refused(tmp_path: Path, more: str, reason: str):
    folder = copied(tmp_path / "more")
    file = folder / "kring.toml"
    file.write_text(file.read_text().replace("[gate]", f"[[candidate]]\n{more}\n\n[gate]"))
    assert kring("check", folder).code == 0
    told = kring("train", folder, "--json")
    assert told.code == 0
    refused = [each["why"] for each in told.json["runs"] if each["run"]["state"] == "refused"]
    assert [reason in why for why in refused] == [True]


def test_files_that_are_no_documents_are_told_and_left_out(tmp_path: Path):
    folder = copied(tmp_path / "strange")
    docs = folder.parents[1] / "docs"
    (docs / "empty.md").write_text("")
    (docs / "binary.md").write_bytes(b"\x00\x01")
    (docs / "latin.md").write_bytes("größe".encode("latin-1"))
    shutil.copy(docs / "errors.md", docs / "errors2.md")
    told = kring("check", folder, "--dry-run", "--json")
    assert told.code == 0
    for name in ("empty.md", "binary.md", "latin.md", "errors2.md"):
        assert f"docs/{name} is no document" in told.out

"""Links that answer in words: every row alone as in company, whatever is asked, and only from bytes that are right."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest

from kring.errors import IntegrityError, Unavailable, Unsupported
from kring.indexes.sqlite import build_index, open_index
from kring.record.batch import Batch
from kring.record.passage import Ranking
from kring.record.prepare import Prepared, PreparedColumn
from kring.record.version import Chain, Link, Policy
from kring.retrieval.rules import read_rules
from kring.runtimes.broken import BrokenRuntime
from kring.runtimes.chain import OpenChain, open_chain
from kring.testing.index import DOCUMENTS, PASSAGES, STRANGE

RULES = '[[rule]]\nwhen = ["berth cost"]\nanswer = "12 a night"\ncitations = ["a.md#fees", "b.md"]\n'
QUESTIONS = ["What does a berth cost?", "closed in winter?", "zeppelins?", "(missing)", None, "high water"]
PREPARED = Prepared(columns=(PreparedColumn(name="question", expression="question", kind="category"),))
FILES = {
    "prepare.json": msgspec.json.encode(PREPARED),
    "links/index.sqlite": build_index(PASSAGES, documents=DOCUMENTS, ranking=Ranking()),
    "links/answers.json": msgspec.json.encode(read_rules(RULES, file="answers.toml")),
}


def opened(kind: str, file: str, data: bytes | None = None) -> OpenChain:
    files = {**FILES, file: FILES[file] if data is None else data}
    digest = hashlib.sha256(files[file]).hexdigest()
    last = Link(kind=kind, file=file, digest=digest, inputs=("question",))
    first = Link(kind="prepare", file="prepare.json")
    chain = Chain(candidate="c", links=(first, last), policy=Policy(output="answer", threshold=0.5))
    return open_chain(chain, files, open_index=open_index)


def retrieval() -> OpenChain:
    return opened("retrieval", "links/index.sqlite")


def canned() -> OpenChain:
    return opened("canned", "links/answers.json")


def asked(chain: OpenChain, *questions: object) -> list[tuple[str, str, float]]:
    out = chain.answer(Batch(len(questions), {"question": np.array(questions, dtype=object), "other": questions}))
    assert list(out.columns) == ["answer", "citations", "support"]
    return list(zip(*(list(column) for column in out.columns.values()), strict=True))


def test_documents_are_quoted_and_cited():
    text, cited, support = asked(retrieval(), "What does a berth cost?")[0]
    assert text.startswith("A berth costs 12 euros a night.")
    assert cited.split()[0] == "a.md#fees"
    assert support == 1.0


def test_rules_answer_as_they_are_written():
    assert asked(canned(), *QUESTIONS) == [("12 a night", "a.md#fees b.md", 1.0), *[("", "", 0.0)] * 5]


@pytest.mark.parametrize("make", [retrieval, canned])
def test_each_row_is_answered_alone_as_in_company(make):
    together = asked(make(), *QUESTIONS)
    assert [asked(make(), question)[0] for question in QUESTIONS] == together
    assert asked(make(), *QUESTIONS[::-1])[::-1] == together
    assert make().answer(Batch(0, {"question": []})).n == 0


@pytest.mark.parametrize("make", [retrieval, canned])
def test_strange_questions_are_questions(make):
    for text, cited, support in asked(make(), *STRANGE):
        assert 0 <= support <= 1
        assert bool(text) == bool(cited)


@pytest.mark.parametrize("make", [retrieval, canned])
def test_a_missing_column_is_named(make):
    with pytest.raises(Unavailable, match="question"):
        make().answer(Batch(1, {"other": ["x"]}))


def test_a_closed_index_is_unavailable():
    chain = retrieval()
    chain.close()
    chain.close()
    with pytest.raises(Unavailable, match="closed"):
        chain.answer(Batch(1, {"question": ["x"]}))


def test_bytes_that_are_no_link_are_refused():
    for kind, file in (("retrieval", "links/index.sqlite"), ("canned", "links/answers.json")):
        with pytest.raises(IntegrityError):
            opened(kind, file, b"SQLite format 3\x00 and no more")
        with pytest.raises(IntegrityError):
            opened(kind, file, b'{"rule": [{"when": "x"}]}')


def test_without_an_index_to_open_it_is_told():
    link = Link(kind="retrieval", file="links/index.sqlite", inputs=("question",))
    with pytest.raises(Unsupported, match="open an index"):
        open_chain(Chain(candidate="c", links=(link,), policy=Policy(output="answer")), FILES)


def test_a_broken_link_says_why_each_time():
    broken = BrokenRuntime(IntegrityError("the index is torn", got="half of it"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="torn"):
            broken.answer(Batch(1, {}))
    broken.close()

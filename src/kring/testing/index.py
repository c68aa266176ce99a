"""What every index must do: find what fits, in order, whatever is asked; the same bytes from the same passages.

class TestSqlite(IndexSuite):
    def build(self, passages, documents) -> bytes: ...
    def open(self, data) -> Index: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final

import pytest

from kring.errors import IntegrityError, Unavailable
from kring.ports.index import Index
from kring.record.passage import Passage
from kring.retrieval.words import words

PASSAGES: Final = (
    Passage(id="a.md", title="Tides", text="The harbour opens two hours before high water."),
    Passage(id="a.md#fees", title="Tides › Fees", text="A berth costs 12 euros a night.\nDogs stay for free."),
    Passage(id="b.md", title="Winter", text="From November on the harbour is closed, and no berth is let."),
    Passage(id="c.txt", title="מזח", text="הנמל פתוח בקיץ"),
)
DOCUMENTS: Final = {"a.md": "1" * 64, "b.md": "2" * 64, "c.txt": "3" * 64}

STRANGE: Final = (
    "",
    " ",
    "???",
    '"berth" OR NEAR(harbour open, 2) *',
    "title : berth^2 - {a b}",
    "'); DROP TABLE passage; --",
    "\x00berth\x00",
    "\ud800",
    "\u202eberth",
    "🙂 ⛵",
    "你好，世界",
    "berth " * 200_000,
    " ".join(f"word{number}" for number in range(100_000)),
)


class IndexSuite(ABC):
    @abstractmethod
    def build(self, passages: Sequence[Passage], documents: Mapping[str, str]) -> bytes:
        """The bytes of an index."""

    @abstractmethod
    def open(self, data: bytes) -> Index:
        """The index in those bytes."""

    def opened(self) -> Index:
        return self.open(self.build(PASSAGES, DOCUMENTS))

    def test_what_fits_best_comes_first(self) -> None:
        index = self.opened()
        for question, best in (
            ("What does a berth cost?", "a.md#fees"),
            ("high water", "a.md"),
            ("closed in winter", "b.md"),
            ("Is the harbour הנמל פתוח?", "c.txt"),
            ("BERTHS costing", "a.md#fees"),
        ):
            found = index.search(question)
            assert found[0].passage.id == best, question
            assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
            assert all(each.score > 0 for each in found)

    def test_passages_come_back_whole(self) -> None:
        found = {each.passage.id: each.passage for each in self.opened().search("harbour berth water dogs הנמל")}
        assert found == {passage.id: passage for passage in PASSAGES}

    def test_nothing_is_found_where_no_word_occurs(self) -> None:
        assert self.opened().search("zeppelin") == []

    @pytest.mark.parametrize("question", STRANGE, ids=lambda question: ascii(question[:12]))
    def test_any_text_is_a_question(self, question: str) -> None:
        for each in self.opened().search(question):
            assert each.passage in PASSAGES

    def test_rare_words_weigh_more_and_unknown_ones_most(self) -> None:
        common, rare, unknown = self.opened().weights(words("harbour dogs zeppelin"))
        assert 0 < common < rare < unknown

    def test_it_tells_the_documents_behind_it(self) -> None:
        assert self.opened().documents() == DOCUMENTS

    def test_equal_passages_make_equal_bytes(self) -> None:
        turned = dict(reversed(DOCUMENTS.items()))
        assert self.build(PASSAGES, DOCUMENTS) == self.build(PASSAGES, turned)
        assert self.build(PASSAGES, DOCUMENTS) != self.build(PASSAGES[:3], DOCUMENTS)

    def test_no_passages_no_findings(self) -> None:
        assert self.open(self.build((), {})).search("harbour") == []

    def test_other_bytes_are_refused(self) -> None:
        data = self.build(PASSAGES, DOCUMENTS)
        for wrong in (
            b"",
            b"PK\x03\x04",
            data[: len(data) // 2],
            b"\x80\x04" + data,
            data[:16] + bytes(len(data) - 16),
        ):
            with pytest.raises(IntegrityError):
                self.open(wrong)

    def test_closing_twice_is_allowed_and_ends_it(self) -> None:
        index = self.opened()
        index.close()
        index.close()
        with pytest.raises(Unavailable):
            index.search("harbour")

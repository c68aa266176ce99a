"""Answers from documents: sentences of the best passages, what they are cited by, how far they support it."""

from __future__ import annotations

from kring.errors import Unavailable
from kring.ports.index import Index
from kring.record.batch import Batch
from kring.record.version import Link
from kring.retrieval.extract import citations, extract, scaled, support
from kring.retrieval.words import asked
from kring.runtimes.questions import NOTHING, Answer, answered


class RetrievalRuntime:
    """Quotes and never writes: every sentence stands in a passage that is cited. Safe to share between threads."""

    def __init__(self, index: Index, inputs: tuple[str, ...], *, link: str) -> None:
        self._index: Index | None = index
        self._inputs = inputs
        self._link = link

    def answer(self, batch: Batch) -> Batch:
        """`answer`, `citations`, `support` of every row. `Unavailable` when the index can't be searched."""
        if self._index is None:
            raise Unavailable(f"{self._link} is closed", next="open the version again")
        index = self._index
        return answered(batch, self._inputs, lambda question: self._said(index, question), link=self._link)

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index = None

    def _said(self, index: Index, question: str) -> Answer:
        found = index.search(question)
        if not found:
            return NOTHING
        words = asked(question)
        weights = dict(zip(words, index.weights(words), strict=True))
        share = scaled(support(found, weights), enough=index.ranking.enough)
        return Answer(extract(found, weights), citations(found), share)


def open_retrieval(index: Index, link: Link) -> RetrievalRuntime:
    """A runtime over an opened index; the question is what stands in the columns `link.inputs`."""
    return RetrievalRuntime(index, link.inputs, link=link.file or "the index")

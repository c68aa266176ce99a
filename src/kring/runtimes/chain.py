"""A version's chain behind its prepare link: the one object that evaluates, replays, scores and serves (law 12)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Protocol

import msgspec

from kring.errors import IntegrityError, Unsupported
from kring.ports.index import Index
from kring.ports.runtime import Runtime, Stoppable
from kring.record.batch import Batch
from kring.record.prepare import Prepared
from kring.record.version import Chain, Link, Output
from kring.runtimes.canned import open_canned
from kring.runtimes.code import PATIENCE_S, open_code
from kring.runtimes.onnx import open_onnx
from kring.runtimes.retrieval import open_retrieval
from kring.runtimes.rule import open_rule

WORDED: Final = ("retrieval", "canned")


class OpenGraph(Protocol):
    """See `kring.runtimes.onnx.open_onnx`."""

    def __call__(self, data: bytes, link: Link, *, output: Output, labels: int = 0) -> Runtime: ...


class OpenChain:
    """Prepared batches in, outputs out."""

    def __init__(self, last: Runtime, *, candidate: str) -> None:
        self.candidate = candidate
        self._last = last

    def answer(self, batch: Batch) -> Batch:
        """`probability`, `value` or `probabilities` per row, NaN without an answer; `Unavailable` when the last
        link fails."""
        return self._last.answer(batch)

    def stop(self, thread: int) -> None:
        """Break off the answer that `thread` waits for, if the last link can be."""
        if isinstance(self._last, Stoppable):
            self._last.stop(thread)

    def close(self) -> None:
        self._last.close()

    def __enter__(self) -> OpenChain:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_chain(
    chain: Chain,
    files: Mapping[str, bytes],
    *,
    default: float | None = None,
    open_index: Callable[[bytes], Index] | None = None,
    open_graph: OpenGraph = open_onnx,
    patience_s: float = PATIENCE_S,
) -> OpenChain:
    """Open `chain` on the bytes of its files, by the paths that its links name.

    `default` answers where a rule finds its inputs missing, `open_index` opens what documents are looked up in,
    `open_graph` opens what is computed as a graph,
    `patience_s` is how long a question waits for the process of a code link (0: not at all).
    `IntegrityError` for bytes that are absent, changed or not what they should be; `Unsupported` for links that this
    Kring can't run; `Unavailable` for code that can't be started.
    """
    before, last = chain.links[:-1], chain.links[-1] if chain.links else None
    if last is None or last.kind == "prepare" or [link.kind for link in before] not in ([], ["prepare"]):
        raise Unsupported(
            f"the chain of {chain.candidate} can't be run",
            got=", ".join(link.kind for link in chain.links) or "no links",
            allowed="prepare, then rule or onnx, code, retrieval or canned",
        )
    output = chain.policy.output
    if last.kind in WORDED:
        return OpenChain(_worded(last, _bytes(last.file, last.digest, files), open_index), candidate=chain.candidate)
    if last.kind == "onnx":
        model = open_graph(_bytes(last.file, last.digest, files), last, output=output, labels=len(chain.policy.labels))
        return OpenChain(model, candidate=chain.candidate)
    kinds = {column.name: column.kind for link in before for column in _prepared(link, files).columns}
    labels = chain.policy.labels
    if last.kind == "code":
        code = {name: _bytes(name, digest, files) for name, digest in last.files.items()}
        runtime = open_code(code, last, kinds, output=output, labels=labels, patience_s=patience_s)
        return OpenChain(runtime, candidate=chain.candidate)
    rule = open_rule(last, kinds, output=output, default=default, labels=labels)
    return OpenChain(rule, candidate=chain.candidate)


def _worded(link: Link, data: bytes, open_index: Callable[[bytes], Index] | None) -> Runtime:
    """A link that answers in words."""
    if link.kind == "canned":
        return open_canned(data, link)
    if open_index is None:
        raise Unsupported("there is nothing here to open an index with", got=link.file, next="hand it in as open_index")
    return open_retrieval(open_index(data), link)


def _bytes(name: str, digest: str, files: Mapping[str, bytes]) -> bytes:
    """The bytes of a link's file, which are those its digest says: checked on what is loaded (law 6)."""
    if name not in files:
        raise IntegrityError(f"the version has no file {name}", got=", ".join(sorted(files)) or "no files")
    data = files[name]
    if digest and hashlib.sha256(data).hexdigest() != digest:
        raise IntegrityError(
            f"{name} is not what the chain pins",
            got=hashlib.sha256(data).hexdigest(),
            allowed=digest,
            next="restore the version from a copy, or roll back to another one",
        )
    return data


def _prepared(link: Link, files: Mapping[str, bytes]) -> Prepared:
    try:
        return msgspec.json.decode(_bytes(link.file, link.digest, files), type=Prepared)
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"{link.file} is not a prepare link", got=str(error)) from error

"""What a system answers from: documents, and the passages they are split into."""

from __future__ import annotations

from typing import Literal

import msgspec

Form = Literal["markdown", "text"]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One text with its name: `docs/contract.md`. `digest` is the SHA-256 of the file's bytes."""

    id: str
    text: str
    title: str = ""
    form: Form = "text"
    digest: str = ""


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is no document, and why."""

    id: str
    reason: str


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document. `id` is what is cited, a document or `document#heading`; long sections have
    several passages with one id. `title` is the way to it through the headings."""

    id: str
    title: str
    text: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A passage and how well it fits a question; scores of different questions do not compare."""

    passage: Passage
    score: float


class Ranking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How passages are ranked: BM25 with `k1` and `b`, a word of the title counting `title_weight` times, two
    neighbouring words of the question found side by side `pair_weight` times as much as a word. The best `k`
    are cited. From the share `enough` of the question's words on that the passages hold an answer is worth giving."""

    k: int = 10
    k1: float = 1.0
    b: float = 0.5
    title_weight: float = 3.0
    pair_weight: float = 0.15
    enough: float = 0.5

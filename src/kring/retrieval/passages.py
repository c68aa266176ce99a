"""Documents as passages: pieces of sections, none longer than asked for, cut where a reader would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kring.record.passage import Document, Passage
from kring.retrieval.markup import Section, sections
from kring.retrieval.words import visible

STOP: Final = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=\S)|(?<=…)[\"'”’)\]]*\s+(?![a-zß-ÿ])(?=\S)|(?<=[。！？])")
"""Where a sentence ends. After an ellipsis a small letter goes on with it."""
ABBREVIATED: Final = re.compile(r"(?:\b(?:e\.g|i\.e|etc|cf|vs|ca|approx|Dr|Mr|Mrs|No|Fig|St)|\b[A-Z])\.$")


def passages(document: Document, *, chunk: int) -> list[Passage]:
    """The passages of a document in order, each with at most `chunk` characters of text.

    A passage never reaches over a heading. It is cut between paragraphs, else between sentences, else between
    words, else anywhere. A document without text has none.
    """
    text = visible(document.text.replace("\r\n", "\n").replace("\r", "\n"))
    clean = Document(id=document.id, text=text, title=document.title, form=document.form, digest=document.digest)
    return [
        Passage(id=_id(document, section), title=" › ".join(section.way), text=piece)
        for section in sections(clean)
        for piece in _filled(section.units, chunk)
    ]


def sentences(text: str) -> list[str]:
    """The sentences of a passage, line by line."""
    return [sentence for line in text.split("\n") for sentence in _sentences(line)]


def _id(document: Document, section: Section) -> str:
    return f"{document.id}#{section.anchor}" if section.anchor else document.id


def _filled(units: list[str], chunk: int) -> Iterator[str]:
    """Units on lines of their own, as many together as `chunk` holds."""
    held, size = list[str](), 0
    for unit in units:
        for part in _parts(unit, chunk):
            if held and size + 1 + len(part) > chunk:
                yield "\n".join(held)
                held, size = [], 0
            size += len(part) + (1 if held else 0)
            held.append(part)
    if held:
        yield "\n".join(held)


def _parts(unit: str, chunk: int) -> Iterator[str]:
    """A unit as it is, or in pieces of at most `chunk` characters."""
    held = ""
    for sentence in _sentences(unit) if len(unit) > chunk else [unit]:
        if held and len(held) + 1 + len(sentence) > chunk:
            yield held
            held = ""
        held = f"{held} {sentence}" if held else sentence
        while len(held) > chunk:
            cut = held.rfind(" ", 0, chunk + 1)
            cut = cut if cut > chunk // 2 else chunk
            yield held[:cut].rstrip()
            held = held[cut:].lstrip()
    if held:
        yield held


def _sentences(line: str) -> Iterator[str]:
    held = list[str]()
    for part in filter(None, STOP.split(line)):
        held.append(part)
        if not ABBREVIATED.search(part):
            yield " ".join(held)
            held = []
    if held:
        yield " ".join(held)

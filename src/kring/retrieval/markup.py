"""A document as sections: the text under each heading, in plain words, with the anchor of the heading.

Markdown and reStructuredText as far as reading needs it: headings, code, tables, lists, links, emphasis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kring.record.passage import Document

HEADING: Final = re.compile(r" {0,3}(#{1,6})(?:\s+(.*))?")
UNDERLINE: Final = re.compile(r"([=\-~^\"'`*+])\1{2,}\s*")
FENCE: Final = re.compile(r"\s{0,3}(`{3,}|~{3,})")
RULER: Final = re.compile(r"\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?)?")
ITEM: Final = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+")
LINK: Final = re.compile(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)")
TAG: Final = re.compile(r"</?[A-Za-z][^<>]{0,500}>|<!--(?:(?!<!--).)*?-->")
EMPHASIS: Final = re.compile(r"(\*{1,3}|(?<!\w)_{1,2}(?=\S))(\S(?:.{0,200}?\S)?)\1(?!\w)")
"""None of these looks far: a page of signs that open and never close is read in no more time than another."""
ANCHOR: Final = re.compile(r"[^\w\- ]")
CELL: Final = re.compile(r"(?<!\\)\|")

RANKS: Final = {"=": 1, "-": 2, "~": 3}
LOWEST: Final = 4
"""Levels of headings by what underlines them."""


@dataclass
class Section:
    """`anchor` is empty for what stands before the first heading and under the title. `way` are the headings
    around it, outermost first; `units` are sentences' worth of text: paragraphs, items, rows, lines of code."""

    anchor: str
    way: tuple[str, ...]
    units: list[str] = field(default_factory=list)


def sections(document: Document) -> list[Section]:
    """The sections that hold text, in order. A first heading of the highest rank is the title: what stands under
    it belongs to the document as a whole."""
    title = document.title or document.id
    current = Section("", (title,))
    found, trail, used = [current], [(0, title)], dict[str, int]()
    for level, text in _lines(document):
        if not level:
            current.units.append(text)
            continue
        if level == 1 and len(found) == 1 and not current.units:
            trail = [(0, plain(text) or title)]
            current.way = (trail[0][1],)
            continue
        trail = [step for step in trail if step[0] < level] + [(level, plain(text))]
        current = Section(_anchor(text, used), tuple(name for _, name in trail))
        found.append(current)
    return [section for section in found if section.units]


def plain(text: str) -> str:
    """A piece of Markdown in plain words: link texts without addresses, no tags, no signs of emphasis."""
    text = LINK.sub(r"\1", TAG.sub("", text))
    parts = text.split("`")
    if len(parts) % 2:
        parts[::2] = [EMPHASIS.sub(r"\2", part) for part in parts[::2]]
    return " ".join("".join(parts).replace("\\|", "|").split())


def anchor(heading: str) -> str:
    """The anchor of a heading as forges make it: lower case, blanks as hyphens, no punctuation."""
    return ANCHOR.sub("", plain(heading).lower()).strip().replace(" ", "-")


def _closed(heading: str) -> str:
    """A heading without the signs that may close it."""
    text = heading.rstrip()
    bare = text.rstrip("#")
    return text if bare and not bare[-1].isspace() else bare.rstrip()


def _anchor(heading: str, used: dict[str, int]) -> str:
    """The anchor; headings that repeat are numbered from the second on."""
    name = anchor(heading)
    times = used[name] = used.get(name, -1) + 1
    return f"{name}-{times}" if times else name


def _lines(document: Document) -> Iterator[tuple[int, str]]:
    """Headings as they are written with their level, everything else in plain words with level 0."""
    if document.form == "text":
        for block in re.split(r"\n\s*\n", document.text):
            if text := " ".join(block.split()):
                yield 0, text
        return
    reader = _Reader()
    for line in document.text.split("\n"):
        yield from reader.read(line)
    yield from reader.end()


class _Reader:
    """Takes line by line, remembers the paragraph and the fence that are open."""

    def __init__(self) -> None:
        self._paragraph: list[str] = []
        self._fence = ""

    def read(self, line: str) -> Iterator[tuple[int, str]]:
        fence, heading, underline = FENCE.match(line), HEADING.fullmatch(line), UNDERLINE.fullmatch(line)
        if self._fence or fence:
            yield from self._code(line, fence[1] if fence else "")
        elif heading:
            yield from self.end()
            yield len(heading[1]), _closed(heading[2] or "")
        elif underline and len(self._paragraph) == 1:
            yield RANKS.get(underline[1], LOWEST), self._paragraph.pop()
        elif underline or not line.strip():
            yield from self.end()
        elif line.lstrip().startswith("|"):
            yield from self.end()
            yield from self._row(line)
        else:
            yield from self._text(line)

    def end(self) -> Iterator[tuple[int, str]]:
        """The paragraph that is open, if any."""
        if self._paragraph and (text := plain(" ".join(self._paragraph))):
            yield 0, text
        self._paragraph = []

    def _code(self, line: str, fence: str) -> Iterator[tuple[int, str]]:
        """Lines of code are units of their own; a fence ends with one of its kind, no shorter."""
        if not self._fence:
            yield from self.end()
            self._fence = fence
        elif fence.startswith(self._fence) and line.strip() == fence:
            self._fence = ""
        elif line.strip():
            yield 0, line.strip()

    def _row(self, line: str) -> Iterator[tuple[int, str]]:
        if not RULER.fullmatch(line.strip()):
            cells = [plain(cell) for cell in CELL.split(line.strip().strip("|"))]
            yield 0, " – ".join(cell for cell in cells if cell)

    def _text(self, line: str) -> Iterator[tuple[int, str]]:
        """Each item of a list is a paragraph."""
        if item := ITEM.match(line):
            yield from self.end()
        self._paragraph.append(line[item.end() :].strip() if item else line.strip())

"""From Markdown to passages: nothing lost, nothing too long, each with the anchor of its heading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kring.record.passage import Document
from kring.retrieval.markup import anchor, plain
from kring.retrieval.passages import passages, sentences
from kring.retrieval.words import words

PAGE = """# Berths

Where *ships* [lie](https://example.org/x_(y)).

## What it `costs`, and when

| season | price |
|---|---:|
| summer | 12 \\| 14 |

- small boats
  go first
- big ones wait

```toml
# no heading
[berth]
```

Late
----

After six <b>nobody</b> answers.

## Late
Call.
"""


def of(text: str, *, chunk: int = 900, form: str = "markdown") -> list[tuple[str, str, str]]:
    document = Document(id="b.md", text=text, title="b", form=form)
    return [(each.id, each.title, each.text) for each in passages(document, chunk=chunk)]


def test_a_page_in_plain_words():
    assert of(PAGE) == [
        ("b.md", "Berths", "Where ships lie."),
        (
            "b.md#what-it-costs-and-when",
            "Berths › What it costs, and when",
            "season – price\nsummer – 12 | 14\nsmall boats go first\nbig ones wait\n# no heading\n[berth]",
        ),
        ("b.md#late", "Berths › Late", "After six nobody answers."),
        ("b.md#late-1", "Berths › Late", "Call."),
    ]


def test_restructured_text_and_plain_text():
    assert of("Berths\n======\n\nFree.\n\nPrices\n------\n\n12.\n") == [
        ("b.md", "Berths", "Free."),
        ("b.md#prices", "Berths › Prices", "12."),
    ]
    assert of("# no heading\n\nTwo\nlines.", form="text") == [("b.md", "b", "# no heading\nTwo lines.")]


def test_text_before_the_first_heading_belongs_to_the_page():
    assert of("Hello.\n\n# Title\n\nWorld.") == [("b.md", "b", "Hello."), ("b.md#title", "b › Title", "World.")]


def test_pages_without_text_have_no_passages():
    assert of("") == of("# only\n\n## headings\n") == []


def test_long_sections_are_cut_between_sentences_then_words_then_anywhere():
    assert [text for _, _, text in of("One two. Three four. Five six.", chunk=20)] == [
        "One two. Three four.",
        "Five six.",
    ]
    assert [text for _, _, text in of("alpha beta gamma delta", chunk=11)] == ["alpha beta", "gamma delta"]
    assert [text for _, _, text in of("x" * 25, chunk=10)] == ["x" * 10, "x" * 10, "x" * 5]


def test_an_open_fence_ends_with_the_page_and_a_longer_one_holds_a_shorter():
    assert of("````\n```\n# a\n```\n````\n\n## b\n\nc") == [("b.md", "b", "```\n# a\n```"), ("b.md#b", "b › b", "c")]
    assert of("```\n# a") == [("b.md", "b", "# a")]


def test_anchors_are_those_of_forges():
    assert anchor("`[lookup.NAME]`") == "lookupname"
    assert anchor("Where it stands, and where it came from") == "where-it-stands-and-where-it-came-from"
    assert plain("`a_b` and _c_ of snake_case_names, 2 * 3 * 4") == "a_b and c of snake_case_names, 2 * 3 * 4"


@pytest.mark.parametrize(
    "text",
    ["*a ", "_a ", "<!--", "[a[b](", "A. ", "`", "</a"],
    ids=lambda text: text.strip(),
)
def test_signs_that_open_and_never_close_are_read_to_the_end(text: str):
    """Each would take hours if the time grew with the square of the length."""
    assert words("\n".join(piece for _, _, piece in of(text * 200_000))) == words(text * 200_000)


def test_blanks_without_end_hold_nothing_up():
    many = " " * 1_000_000
    assert of(f"# One{many}two ##{many}\n{many}|---|x\nthree") == [("b.md", "One two", "--- – x\nthree")]


def test_signs_that_close_a_heading_are_no_part_of_it():
    page = "# A #\n\na\n\n## C# ##\n\nb\n\n## #d#\n\nc\n"
    assert [title for _, title, _ in of(page)] == ["A", "A › C#", "A › #d#"]


def test_sentences_end_where_a_reader_ends_them():
    assert sentences("It costs 3.5 euros, e.g. in May. Dr. Who pays! Why?\nSo.") == [
        "It costs 3.5 euros, e.g. in May.",
        "Dr. Who pays!",
        "Why?",
        "So.",
    ]
    assert sentences("Files of git (`.git`, …) are not left out. Wait… It does.") == [
        "Files of git (`.git`, …) are not left out.",
        "Wait…",
        "It does.",
    ]


@given(st.text(max_size=600), st.integers(20, 200), st.sampled_from(["markdown", "text"]))
def test_any_text_gives_passages_of_the_size_asked_for(text: str, chunk: int, form: str):
    for _, _, piece in of(text, chunk=chunk, form=form):
        assert 0 < len(piece) <= chunk


@given(st.lists(st.sampled_from(["anchor", "berth", "crane", "dock", "engine", "ferry."]), min_size=1, max_size=80))
def test_no_word_is_lost_or_moved(found: list[str]):
    text = " ".join(found)
    assert words("\n".join(piece for _, _, piece in of(text, chunk=30))) == words(text)

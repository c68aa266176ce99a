"""What every control page must do: tell all who look at it the same, whoever of them dies.

class TestMapped(PageSuite):
    def make(self, workers) -> Page: ...
    def again(self, page) -> Page: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Final, get_args

import pytest

from kring.ports.page import Kind, Page, Vitals

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NOBODY: Final = Vitals(pid=0, start=0, heartbeat=0.0, began=0.0, deadline=0.0, rss=0, in_flight=0, ready=False)


class PageSuite(ABC):
    @abstractmethod
    def make(self, workers: int) -> Page:
        """A page on which nothing stands yet."""

    @abstractmethod
    def again(self, page: Page) -> Page:
        """The same page, as another process sees it."""

    def test_nothing_stands_on_a_new_page(self) -> None:
        page = self.make(3)
        assert [page.generation(kind) for kind in KINDS] == [0] * len(KINDS)
        assert (page.read_only, page.draining, page.ledger_seen()) == ("", False, 0.0)
        assert [seat.vitals() for seat in page.seats] == [NOBODY] * 3

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_change_is_seen_by_all_and_of_its_kind_only(self, kind: Kind) -> None:
        page = self.make(1)
        other = self.again(page)
        assert (page.bump(kind), other.bump(kind)) == (1, 2)
        for each in (page, other):
            assert {one: each.generation(one) for one in KINDS} == dict.fromkeys(KINDS, 0) | {kind: 2}

    def test_no_two_changes_have_one_generation(self) -> None:
        page = self.make(0)
        pages = [page, page, self.again(page), self.again(page)]
        with ThreadPoolExecutor(4) as pool:
            given = pool.map(lambda one: [one.bump("keys") for _ in range(100)], pages)
        assert sorted(number for numbers in given for number in numbers) == list(range(1, 401))

    def test_the_first_reason_to_stop_writing_stays(self) -> None:
        page = self.make(2)
        other = self.again(page)
        other.set_read_only("an fsync failed")
        page.set_read_only("something else")
        assert page.read_only == other.read_only == "an fsync failed"

    @pytest.mark.parametrize("reason", ["", "\x00", "é" * 10_000, "🙂" * 10_000, "\ud800"])
    def test_any_text_is_a_reason(self, reason: str) -> None:
        page = self.make(0)
        page.set_read_only(reason)
        assert self.again(page).read_only == page.read_only != ""

    def test_draining_is_for_all_and_not_taken_back(self) -> None:
        page = self.make(0)
        self.again(page).drain()
        page.drain()
        assert page.draining

    def test_the_ledger_was_seen_when_anybody_saw_it(self) -> None:
        page = self.make(0)
        assert self.again(page).ledger_seen(12.5) == page.ledger_seen() == 12.5

    def test_a_seat_says_what_its_worker_says(self) -> None:
        page = self.make(3)
        mine = self.again(page).seats[1]
        mine.claim(4711, start=2**63)
        mine.beat(1.25, rss=2**40, in_flight=7, ready=True)
        mine.work(1.5, 1.75)
        whole = Vitals(
            pid=4711, start=2**63, heartbeat=1.25, began=1.5, deadline=1.75, rss=2**40, in_flight=7, ready=True
        )
        assert [seat.vitals() for seat in page.seats] == [NOBODY, whole, NOBODY]

    def test_who_takes_a_seat_begins_anew(self) -> None:
        seat = self.make(1).seats[0]
        seat.claim(1, start=1)
        seat.beat(1.0, rss=1, in_flight=1, ready=True)
        seat.work(1.0, 2.0)
        seat.claim(2, start=2)
        assert seat.vitals() == Vitals(
            pid=2, start=2, heartbeat=0.0, began=0.0, deadline=0.0, rss=0, in_flight=0, ready=False
        )
        seat.clear()
        assert seat.vitals() == NOBODY

    def test_work_that_is_over_leaves_nothing(self) -> None:
        seat = self.make(1).seats[0]
        seat.work(1.0, 2.0)
        seat.idle()
        assert (seat.vitals().began, seat.vitals().deadline) == (0.0, 0.0)

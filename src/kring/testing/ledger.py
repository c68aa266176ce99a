"""What every ledger must do."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path

import pytest

from kring.errors import Busy, Conflict, NotFound, StorageError
from kring.ports.ledger import Ledger
from kring.record.event import Entry, Event

SECOND = 1_000_000


def entry(number: int, *, kind: str = "run", id: str = "") -> Entry:
    """An entry for tests, different for each number."""
    return Entry(kind=kind, id=id or f"r_{number}", body=b'{"n":%d}' % number, actor="ada", at=number * SECOND)


class LedgerSuite(ABC):
    @abstractmethod
    def make(self, folder: Path, *, system: str = "suite") -> Ledger:
        """The ledger of `system` in `folder`; made when missing, the same one when opened again."""

    def test_an_empty_chain(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        assert (ledger.head().seq, ledger.head().digest) == (0, bytes(32))
        assert ledger.verify() == ledger.head()
        assert list(ledger.read()) == []
        assert ledger.append([]) == ledger.head()
        with pytest.raises(NotFound, match="run"):
            ledger.get("run", "r_1")
        ledger.close()

    def test_what_was_appended_is_read_in_order(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        entries = [entry(number, kind="run" if number % 3 else "alarm") for number in range(2500)]
        for begin in range(0, 2500, 500):
            head = ledger.append(entries[begin : begin + 500])
        events = list(ledger.read())
        assert [event.seq for event in events] == list(range(1, 2501))
        assert [as_entry(event) for event in events] == entries
        assert all(event.prev == before.digest for before, event in pairwise(events))
        assert (head.seq, head.digest) == (2500, events[-1].digest)
        assert ledger.verify() == ledger.head() == head
        assert list(ledger.read(after=2490)) == events[2490:]
        assert list(ledger.read(after=1200, kind="alarm")) == [e for e in events[1200:] if e.kind == "alarm"]
        ledger.close()

    def test_the_newest_event_of_an_id(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        ledger.append([entry(1, id="r_x"), entry(2, id="r_y"), entry(3, id="r_x"), entry(4, id="r_x", kind="alarm")])
        assert ledger.get("run", "r_x").seq == 3
        assert ledger.get("run", "r_x").body == b'{"n":3}'
        assert ledger.get("alarm", "r_x").seq == 4
        ledger.close()

    def test_reading_while_appending(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        ledger.append([entry(1), entry(2)])
        events = ledger.read()
        assert next(events).seq == 1
        ledger.append([entry(3)])
        assert [event.seq for event in events][:1] == [2]
        ledger.close()

    def test_a_chain_outlives_the_process(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        head = ledger.append([entry(1), entry(2)])
        ledger.close()
        ledger.close()
        with pytest.raises(StorageError):
            ledger.head()
        again = self.make(tmp_path / "ledger")
        assert again.verify() == head
        assert again.append([entry(3)]).seq == 3
        again.close()

    def test_systems_have_chains_of_their_own(self, tmp_path: Path) -> None:
        one, two = self.make(tmp_path / "ledger", system="one"), self.make(tmp_path / "ledger", system="two")
        one.append([entry(1)])
        two.append([entry(1), entry(2)])
        lease = one.lease("operator", holder="a", ttl=10, now=0)
        assert two.lease("operator", holder="b", ttl=10, now=0).token == lease.token
        assert (one.verify().seq, two.verify().seq) == (1, 2)
        assert len(list(one.read())) == 1
        with pytest.raises(NotFound):
            one.get("run", "r_2")
        one.close()
        two.close()

    def test_compare_and_swap(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        ledger.append([entry(1)], expect_seq=0)
        with pytest.raises(Conflict, match="moved on"):
            ledger.append([entry(2), entry(3)], expect_seq=0)
        assert ledger.head().seq == 1
        assert ledger.append([entry(2), entry(3)], expect_seq=1).seq == 3
        ledger.close()

    def test_of_many_who_decided_on_one_head_one_wins(self, tmp_path: Path) -> None:
        ledgers = [self.make(tmp_path / "ledger") for _ in range(4)]
        won: list[int] = []

        def race(ledger: Ledger, number: int) -> None:
            for turn in range(5):
                try:
                    ledger.append([entry(100 * turn + number)], expect_seq=turn)
                    won.append(turn)
                except Conflict:
                    pass
                while ledger.head().seq <= turn:
                    pass

        threads = [threading.Thread(target=race, args=(ledger, n)) for n, ledger in enumerate(ledgers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == list(range(5))
        assert ledgers[0].verify().seq == 5
        for ledger in ledgers:
            ledger.close()

    def test_a_lease_belongs_to_one_holder(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        first = ledger.lease("operator", holder="a", ttl=10, now=0)
        assert (first.name, first.until) == ("operator", 10 * SECOND)
        with pytest.raises(Busy, match="a holds"):
            ledger.lease("operator", holder="b", ttl=10, now=10 * SECOND - 1)
        renewed = ledger.lease("operator", holder="a", ttl=10, now=5 * SECOND)
        assert (renewed.token, renewed.until) == (first.token, 15 * SECOND)
        second = ledger.lease("operator", holder="b", ttl=10, now=15 * SECOND)
        assert second.token > first.token
        ledger.lease("operator", holder="b", ttl=0, now=16 * SECOND)
        assert ledger.lease("operator", holder="a", ttl=10, now=16 * SECOND).token > second.token
        ledger.close()

    def test_an_older_holder_is_fenced_out(self, tmp_path: Path) -> None:
        ledger = self.make(tmp_path / "ledger")
        old = ledger.lease("operator", holder="a", ttl=1, now=0)
        other = ledger.lease("archive", holder="a", ttl=1, now=0)
        assert other.token != old.token
        ledger.append([entry(1)], token=old.token)
        new = ledger.lease("operator", holder="b", ttl=1, now=2 * SECOND)
        with pytest.raises(Conflict, match="newer holder"):
            ledger.append([entry(2)], token=old.token)
        with pytest.raises(Conflict):
            ledger.append([entry(2)], token=new.token + 1)
        ledger.append([entry(2)], token=new.token)
        ledger.append([entry(3)], token=other.token)
        assert ledger.verify().seq == 3
        ledger.close()


def as_entry(event: Event) -> Entry:
    """What had been appended."""
    return Entry(kind=event.kind, id=event.id, body=event.body, actor=event.actor, at=event.at)

"""What every store of claims must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import msgspec
import pytest

from kring.errors import StorageError
from kring.host.files import LocalFiles
from kring.metrics.claims import body_digest, claim_name, claim_tags
from kring.metrics.ids import decision_block
from kring.ports.claims import KEPT_US, Claim, Claims, Differs, Owner, Pending, Taken, Won
from kring.stores.file import FileLog, open_log
from kring.testing.decision_log import START, SYSTEM, decisions

MINE: Final = Owner(SYSTEM, 0)
OTHER: Final = Owner(SYSTEM, 1)


def claim(key: str, *, body: bytes = b"{}") -> Claim:
    """A request with that key and body, for tests."""
    return Claim(claim_name(SYSTEM, "caller", key), body_digest(body, key=key))


def logged(log: FileLog, asked: Claim, rows: int = 1, *, at: int = START, parts: int = 1) -> tuple[bytes, ...]:
    """The decisions that answer `asked`, on record and durable, in so many frames; their ids by row."""
    tags = claim_tags(asked.name, asked.digest, rows)
    ids: dict[int, bytes] = {}
    for part in range(parts):
        mine = range(rows)[part::parts]
        place = log.append(msgspec.structs.replace(decisions(len(mine), at=at), keys=[tags[row] for row in mine]))
        block = decision_block(place, len(mine))
        ids |= {row: block[number].tobytes() for number, row in enumerate(mine)}
    log.commit()
    return tuple(ids[row] for row in range(rows))


class ClaimsSuite(ABC):
    @abstractmethod
    def make(self, folder: Path) -> Claims:
        """The claims that live in `folder`; made when missing, the same ones when opened again."""

    def log(self, folder: Path, writer: int = 0) -> FileLog:
        """The log of a writer beside the claims."""
        return open_log(folder / "log", files=LocalFiles(), system=SYSTEM, writer=writer)

    def test_one_wins_and_the_others_wait_for_what_it_says(self, tmp_path: Path) -> None:
        claims, log = self.make(tmp_path), self.log(tmp_path)
        mine = claim("a")
        assert claims.claim_many([mine], owner=MINE, now=START) == [Won()]
        assert claims.claim_many([mine], owner=OTHER, now=START) == [Pending(MINE)]
        assert claims.claim_many([claim("a", body=b"[]")], owner=OTHER, now=START) == [Differs()]
        assert claims.look([mine.name, claim("b").name]) == [Pending(MINE), None]
        ids = logged(log, mine, 3)
        claims.settle_many([(mine.name, ids)], owner=MINE, cursor=log.cursor())
        assert claims.look([mine.name]) == [Taken(ids)]
        assert claims.claim_many([mine], owner=OTHER, now=START) == [Taken(ids)]
        assert claims.claim_many([claim("a", body=b"[]")], owner=MINE, now=START) == [Differs()]
        claims.close()
        log.close()

    def test_of_two_in_one_call_the_first_wins(self, tmp_path: Path) -> None:
        claims = self.make(tmp_path)
        asked = [claim("a"), claim("b"), claim("a"), claim("a", body=b"[]")]
        assert claims.claim_many(asked, owner=MINE, now=START) == [Won(), Won(), Pending(MINE), Differs()]
        assert claims.claim_many([], owner=MINE, now=START) == []
        claims.close()

    def test_what_is_given_back_is_won_by_the_next(self, tmp_path: Path) -> None:
        claims = self.make(tmp_path)
        claims.claim_many([claim("a"), claim("b")], owner=MINE, now=START)
        claims.release([claim("a").name, claim("nobody").name])
        assert claims.claim_many([claim("a", body=b"[]"), claim("b")], owner=OTHER, now=START) == [
            Won(),
            Pending(MINE),
        ]
        claims.close()

    def test_what_was_answered_is_never_given_back(self, tmp_path: Path) -> None:
        claims, log = self.make(tmp_path), self.log(tmp_path)
        claims.claim_many([claim("a")], owner=MINE, now=START)
        ids = logged(log, claim("a"))
        claims.settle_many([(claim("a").name, ids)], owner=MINE, cursor=log.cursor())
        claims.settle_many([(claim("a").name, [bytes(16)])], owner=MINE, cursor=log.cursor())
        claims.release([claim("a").name])
        assert claims.look([claim("a").name]) == [Taken(ids)]
        claims.close()
        log.close()

    def test_names_of_other_systems_and_callers_differ(self, tmp_path: Path) -> None:
        claims = self.make(tmp_path)
        names = {claim_name(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("", "a", "bc")]}
        asked = [Claim(name, "same") for name in sorted(names)]
        assert claims.claim_many(asked, owner=MINE, now=START) == [Won()] * 4
        claims.close()

    def test_an_answer_is_known_for_a_day(self, tmp_path: Path) -> None:
        claims, log = self.make(tmp_path), self.log(tmp_path)
        claims.claim_many([claim("a"), claim("waiting")], owner=MINE, now=START)
        ids = logged(log, claim("a"))
        claims.settle_many([(claim("a").name, ids)], owner=MINE, cursor=log.cursor())
        assert claims.claim_many([claim("a")], owner=OTHER, now=START + KEPT_US) == [Taken(ids)]
        later = claims.claim_many([claim("a"), claim("waiting")], owner=OTHER, now=START + KEPT_US + 1)
        assert later == [Won(), Pending(MINE)]
        claims.close()
        log.close()

    def test_claims_outlive_the_process(self, tmp_path: Path) -> None:
        claims, log = self.make(tmp_path), self.log(tmp_path)
        claims.claim_many([claim("a"), claim("b")], owner=MINE, now=START)
        ids = logged(log, claim("a"))
        claims.settle_many([(claim("a").name, ids)], owner=MINE, cursor=log.cursor())
        claims.close()
        claims.close()
        log.close()
        again = self.make(tmp_path)
        assert again.look([claim("a").name, claim("b").name]) == [Taken(ids), Pending(MINE)]
        assert again.owners(SYSTEM) == [0]
        assert again.owners("another") == []
        again.close()

    @pytest.mark.parametrize("parts", [1, 2])
    def test_what_a_dead_process_left_is_settled_from_its_log(self, tmp_path: Path, parts: int) -> None:
        """Recorded in whole: settled. Not recorded, or in part: released."""
        claims, log = self.make(tmp_path), self.log(tmp_path)
        asked = [claim(key) for key in "abcd"]
        claims.claim_many(asked, owner=MINE, now=START)
        claims.claim_many([claim("theirs")], owner=OTHER, now=START)
        first, second = logged(log, asked[0], 2, parts=parts), logged(log, asked[1], 5, parts=parts)
        log.append(msgspec.structs.replace(decisions(1), keys=claim_tags(asked[2].name, asked[2].digest, 2)[:1]))
        log.commit()
        log.close()
        log = self.log(tmp_path)
        assert claims.take_over(log, owner=MINE, now=START + 9) == (2, 2)
        assert claims.take_over(log, owner=MINE, now=START + 9) == (0, 0)
        states = claims.look([*(one.name for one in asked), claim("theirs").name])
        assert states == [Taken(first), Taken(second), None, None, Pending(OTHER)]
        assert claims.owners(SYSTEM) == [1]
        claims.close()
        log.close()

    def test_a_store_that_is_gone_is_made_again_from_the_log(self, tmp_path: Path) -> None:
        log = self.log(tmp_path)
        old, new = claim("old"), claim("new")
        logged(log, old, at=START)
        ids = logged(log, new, 2, at=START + KEPT_US)
        claims = self.make(tmp_path)
        assert claims.take_over(log, owner=MINE, now=START + KEPT_US + 5) == (1, 0)
        asked = [new, old, claim("new", body=b"[]")]
        found = claims.claim_many(asked, owner=MINE, now=START + KEPT_US + 6)
        assert found == [Taken(ids), Won(), Differs()]
        claims.close()
        log.close()

    def test_settlements_may_come_in_any_order(self, tmp_path: Path) -> None:
        """A later group is settled and the earlier one never is: the log still tells of it."""
        claims, log = self.make(tmp_path), self.log(tmp_path)
        claims.claim_many([claim("a"), claim("b")], owner=MINE, now=START)
        first = logged(log, claim("a"))
        early = log.cursor()
        second = logged(log, claim("b"))
        claims.settle_many([(claim("b").name, second)], owner=MINE, cursor=log.cursor())
        claims.settle_many([], owner=MINE, cursor=early)
        assert claims.take_over(log, owner=MINE, now=START + 1) == (1, 0)
        assert claims.look([claim("a").name, claim("b").name]) == [Taken(first), Taken(second)]
        claims.close()
        log.close()

    def test_closed_claims_answer_nothing(self, tmp_path: Path) -> None:
        claims = self.make(tmp_path)
        claims.close()
        with pytest.raises(StorageError):
            claims.claim_many([claim("a")], owner=MINE, now=START)
        with pytest.raises(StorageError):
            claims.look([claim("a").name])

"""Streamed answers: opened before the first byte, closed before the last; what is not closed is told as cut."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kring.flow.streams import GRACE_US, cut_streams, delivered
from kring.host.files import LocalFiles
from kring.metrics.ids import decision_ids, decision_raw
from kring.record.decision import Closed, Decisions
from kring.stores.file import FileLog, open_log
from kring.stores.reading import WholeLog, read_log
from kring.testing.decision_log import START, SYSTEM, decisions


def streamed(n: int, *, at: int = START) -> Decisions:
    return msgspec.structs.replace(decisions(n, at=at), kind="streamed")


@pytest.fixture
def log(tmp_path: Path) -> FileLog:
    return open_log(tmp_path, files=LocalFiles(), system=SYSTEM)


@pytest.fixture
def whole(tmp_path: Path) -> WholeLog:
    return read_log(tmp_path, system=SYSTEM)


def close(log: FileLog, ids: list[str], how: list[str], *, at: int) -> None:
    raw = [decision_raw(id) for id in ids]
    log.append(Closed(system=SYSTEM, at=at, ids=raw, how=how, delivered=[7_000] * len(ids)))  # type: ignore[arg-type]
    log.commit()


def test_what_was_not_closed_in_time_was_cut(log: FileLog, whole: WholeLog) -> None:
    log.append(decisions(3))
    done, cut, silent = decision_ids(log.append(streamed(3)), 3)
    late = decision_ids(log.append(streamed(1, at=START + GRACE_US)), 1)[0]
    log.commit()
    assert cut_streams(whole, now=START + 1) == ()
    close(log, [done, cut], ["stop", "cut"], at=START + 5)
    assert cut_streams(whole, now=START + 6) == (cut,)
    assert cut_streams(whole, now=START + GRACE_US) == (cut, silent)
    assert cut_streams(whole, now=START + 2 * GRACE_US) == (cut, silent, late)
    log.close()


def test_an_answer_that_was_not_streamed_is_never_cut(log: FileLog, whole: WholeLog) -> None:
    log.append(decisions(3))
    log.close()
    assert cut_streams(whole, now=START + 2 * GRACE_US) == ()


def test_what_was_delivered_is_told_in_words(log: FileLog, whole: WholeLog) -> None:
    done, cut, silent = decision_ids(log.append(streamed(3)), 3)
    close(log, [done, cut], ["stop", "cut"], at=START + 5)
    assert delivered(whole.closed(done)) == "to its end, 7,000 characters"
    assert delivered(whole.closed(cut)) == "cut, 7,000 characters"
    assert delivered(whole.closed(silent)).startswith("cut, or not yet to its end")
    log.close()

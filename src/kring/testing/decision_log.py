"""What every decision log must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import msgspec
import numpy as np
import pytest

from kring.errors import DataError, NotFound, StorageError
from kring.metrics.ids import decision_block, decision_bytes, decision_id, decision_ids
from kring.metrics.packing import packed, unpacked
from kring.ports.decision_log import DecisionLog
from kring.record.decision import Closed, Decisions, Outcomes, PackedDecisions, Value
from kring.record.exposure import Exposure

SYSTEM = "suite"
START = 1_700_000_000_000_000


def decisions(n: int, *, at: int = START, value: Value = 0.5) -> Decisions:
    """Answers for tests: `n` rows, every one with `value` as an input."""
    return Decisions(
        system=SYSTEM,
        version="v_1",
        answered_by="v_1",
        arm="live",
        kind="online",
        at=at,
        n=n,
        inputs={"row": list(range(n)), "value": [value] * n},
        outputs={"probability": [row / 10 for row in range(n)]},
        latency_us=100,
        guards={0: ["range"]} if n else {},
        refers=[bytes(16)] * n,
    )


def outcomes(ids: list[bytes], *, at: int = START) -> Outcomes:
    """What came of them, for tests."""
    return Outcomes(system=SYSTEM, at=at, ids=ids, values=[True] * len(ids))


def closed(ids: list[bytes], *, at: int = START) -> Closed:
    """How their streams ended, for tests: each second one was cut."""
    return Closed(
        system=SYSTEM,
        at=at,
        ids=ids,
        how=["cut" if row % 2 else "stop" for row in range(len(ids))],
        delivered=list(range(len(ids))),
        outputs={"text": ["so it is"] * len(ids)},
    )


def exposure(subjects: list[str], *, at: int = START) -> Exposure:
    """Subjects that were told the same."""
    n = len(subjects)
    return Exposure(
        system=SYSTEM,
        at=at,
        generation=3,
        flags=["button"] * n,
        variants=["green"] * n,
        reasons=["SPLIT"] * n,
        subjects=subjects,
        versions=[""] * n,
        trials=["tr_1/treated"] * n,
    )


def packed_decisions(n: int, *, at: int = START) -> PackedDecisions:
    """Packed answers for tests: `n` rows of a scored file, from its row 7 on."""
    words = ["a", "b", "c"][: max(1, min(n, 3))]
    return PackedDecisions(
        system=SYSTEM,
        version="v_1",
        answered_by="v_1",
        arm="live",
        kind="batch",
        at=at,
        n=n,
        inputs={"row": packed(np.arange(n)), "word": packed(np.arange(n) % len(words), words=words)},
        outputs={"probability": packed(np.arange(n) / 10)},
        latency_us=100,
        guards={0: ["range"]} if n else {},
        batch="b_1",
        first=7,
    )


class DecisionLogSuite(ABC):
    @abstractmethod
    def make(self, folder: Path) -> DecisionLog:
        """The log of the system `SYSTEM` in `folder`; made when missing, the same one when opened again."""

    def test_what_was_committed_is_read_in_order(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        written: list[Decisions | Outcomes | Closed | Exposure] = [
            decisions(3),
            outcomes([bytes(16)]),
            closed([bytes(16)] * 2),
            exposure(["t", "u"]),
            decisions(1, at=START + 9),
        ]
        places = [log.append(record) for record in written]
        log.commit()
        found = list(log.read())
        assert [logged.record for logged in found] == written
        assert [logged.place for logged in found] == places
        assert [list(log.read(after=logged.cursor)) for logged in found] == [
            found[1:],
            found[2:],
            found[3:],
            found[4:],
            [],
        ]
        log.close()

    def test_every_decision_is_found_by_its_id(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        written = [decisions(n, at=START + n * 1000) for n in (1, 7, 2, 1000)]
        ids = [decision_ids(log.append(record), record.n) for record in written]
        log.append(outcomes([bytes(16)]))
        log.append(closed([bytes(16)]))
        log.append(exposure(["t"]))
        log.commit()
        flat = [id for some in ids for id in some]
        assert len(set(flat)) == len(flat) == sum(record.n for record in written)
        for record, some in zip(written, ids, strict=True):
            assert [log.find(id) for id in some[:5]] == [(record, row) for row in range(len(some[:5]))]
            assert log.find(some[-1]) == (record, record.n - 1)
        log.close()

    def test_packed_decisions_are_read_as_plain_ones(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        log.append(decisions(2))
        record = packed_decisions(5)
        place = log.append(record)
        after = log.append(decisions(1))
        log.commit()
        assert (after.segment, after.sequence) >= (place.segment, place.sequence)
        assert [logged.record for logged in log.read()] == [decisions(2), unpacked(record), decisions(1)]
        ids = decision_ids(place, 5)
        assert [log.find(id) for id in ids] == [(unpacked(record), row) for row in range(5)]
        assert sum(segment.decisions for segment in log.seal()) == 8
        assert unpacked(record).rows == [7, 8, 9, 10, 11]
        log.close()

    def test_places_give_bytes_and_texts_alike(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        place = log.append(decisions(5))
        block = decision_block(place, 5)
        assert block[0].tobytes() == decision_bytes(place)
        assert [decision_id(row.tobytes()) for row in block] == decision_ids(place, 5)
        log.close()

    def test_unknown_ids_are_not_found(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        place = log.append(decisions(2))
        with pytest.raises(NotFound):
            log.find(decision_ids(place, 1)[0])
        log.commit()
        with pytest.raises(NotFound):
            log.find(decision_ids(place, 3)[2])
        for strange in ("", "d_", "s_" + "0" * 26, "d_" + "U" * 26, "d_" + "0" * 26):
            with pytest.raises(NotFound):
                log.find(strange)
        log.close()

    def test_nothing_is_read_before_it_is_committed(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        log.append(decisions(2))
        assert list(log.read()) == []
        log.commit()
        log.commit()
        assert len(list(log.read())) == 1
        log.close()

    def test_a_log_outlives_the_process(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        first = decision_ids(log.append(decisions(3)), 3)
        log.close()
        log.close()
        with pytest.raises(StorageError):
            log.append(decisions(1))
        again = self.make(tmp_path / "log")
        second = decision_ids(again.append(decisions(3)), 3)
        again.commit()
        assert not set(first) & set(second)
        assert [logged.record for logged in again.read()] == [decisions(3), decisions(3)]
        assert again.find(first[1])[1] == again.find(second[1])[1] == 1
        again.close()

    def test_sealing_describes_every_segment(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        assert log.seal() == []
        log.append(decisions(3, at=START))
        log.append(outcomes([bytes(16)] * 2, at=START + 7))
        (first,) = log.seal()
        assert (first.decisions, first.outcomes, first.frames) == (3, 2, 2)
        assert (first.first, first.last) == (START, START + 7)
        assert log.seal() == [first]
        place = log.append(decisions(1))
        assert place.sequence == 0
        second = log.seal()[-1]
        assert second.id != first.id
        assert second.number == place.segment > first.number
        log.close()
        again = self.make(tmp_path / "log")
        assert again.seal() == [first, second]
        assert sum(logged.place.segment == first.number for logged in again.read()) == 2
        assert again.find(decision_ids(place, 1)[0]) == (decisions(1), 0)
        again.close()

    @pytest.mark.parametrize("value", [True, None, -1, 2**63 - 1, 1e300, float("inf"), "", "Zoë \x00 \U0001f6eb"])
    def test_values_come_back_as_they_were(self, tmp_path: Path, value: Value) -> None:
        log = self.make(tmp_path / "log")
        place = log.append(decisions(1, value=value))
        log.commit()
        found, row = log.find(decision_ids(place, 1)[0])
        assert found.inputs["value"][row] == value
        assert type(found.inputs["value"][row]) is type(value)
        log.close()

    def test_a_record_that_does_not_hold_together_is_refused(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        strange: list[Decisions | Closed | Outcomes | Exposure] = [
            msgspec.structs.replace(exposure(["t"]), trials=[]),
            msgspec.structs.replace(decisions(2), keys=["k"]),
            msgspec.structs.replace(decisions(2), system="other"),
            msgspec.structs.replace(closed([bytes(16)] * 2), delivered=[1]),
            msgspec.structs.replace(outcomes([bytes(16)]), values=[]),
        ]
        for record in strange:
            with pytest.raises(ValueError, match="does not fit"):
                log.append(record)
        log.append(msgspec.structs.replace(decisions(2), keys=["k", ""], sealed=["value"]))
        log.commit()
        assert [logged.place.sequence for logged in log.read()] == [0]
        log.close()

    @pytest.mark.parametrize("value", [2**70, "\ud800"])
    def test_what_cannot_be_kept_is_refused(self, tmp_path: Path, value: Value) -> None:
        log = self.make(tmp_path / "log")
        with pytest.raises(DataError):
            log.append(decisions(1, value=value))
        log.append(decisions(1))
        log.commit()
        assert len(list(log.read())) == 1
        log.close()

    def test_a_batch_without_rows_leaves_nothing(self, tmp_path: Path) -> None:
        log = self.make(tmp_path / "log")
        log.append(decisions(0))
        log.append(outcomes([]))
        log.append(closed([]))
        log.commit()
        assert list(log.read()) == []
        log.close()

"""What every store of trials must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from kring.errors import StorageError
from kring.ports.trials import Exposed, Report, Trials

ONE: Final = "tr_one"
TWO: Final = "tr_two"


class TrialsConformance(ABC):
    """Fulfilled by a test class that says how to open a store."""

    @abstractmethod
    def open(self, path: Path) -> Trials:
        """A store at `path`, as another process would open it."""

    def test_the_first_moment_in_each_arm_stays(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "trials.db")
        shown = [Exposed("ada", "a", 20), Exposed("bo", "b", 5), Exposed("ada", "a", 10), Exposed("ada", "b", 30)]
        for _ in range(2):
            store.expose({ONE: shown, TWO: [Exposed("ada", "b", 1)]}, cursors={0: (1, 40), 3: (2, 7)})
        assert list(store.exposures(ONE)) == [Exposed("bo", "b", 5), Exposed("ada", "a", 10), Exposed("ada", "b", 30)]
        assert list(store.exposures(TWO)) == [Exposed("ada", "b", 1)]
        assert list(store.exposures("tr_none")) == []
        store.close()

    def test_a_log_is_never_read_backwards(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "trials.db")
        for cursor in ((2, 100), (1, 900), (2, 99)):
            store.expose({}, cursors={0: cursor})
        assert store.cursors() == {0: (2, 100)}
        store.close()

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
    def test_reports_keep_their_order_and_say_what_was_known(self, tmp_path: Path, order: Sequence[int]) -> None:
        store = self.open(tmp_path / "trials.db")
        said = [Report("ada", "bought", 1.0, 5), Report("ada", "bought", 0.0, 5), Report("ada", "spent", 2.5, 5)]
        mine = [said[place] for place in order]
        assert store.report(ONE, [mine[0], mine[0]], now=9, source="test") == [None, mine[0]]
        before = store.report(ONE, mine, now=9, source="test")
        assert before[0] == mine[0]
        assert list(store.reports(ONE)) == mine
        assert list(store.reports(TWO)) == []
        store.close()

    def test_a_report_without_a_moment_is_of_now_and_says_nothing_twice(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "trials.db")
        for now in (5, 6):
            store.report(ONE, [Report("ada", "bought", 1.0, 0)], now=now, source="test")
        assert list(store.reports(ONE)) == [Report("ada", "bought", 1.0, 5)]
        store.report(ONE, [Report("ada", "bought", 0.0, 0)], now=7, source="test")
        assert list(store.reports(ONE))[1:] == [Report("ada", "bought", 0.0, 7)]
        store.close()

    def test_what_was_kept_is_there_for_others_at_once(self, tmp_path: Path) -> None:
        first, second = self.open(tmp_path / "trials.db"), self.open(tmp_path / "trials.db")
        first.report(ONE, [Report("ada", "bought", 1.0, 5)], now=9, source="one")
        assert second.report(ONE, [Report("ada", "bought", 1.0, 5)], now=9, source="two") == [
            Report("ada", "bought", 1.0, 5)
        ]
        second.expose({ONE: [Exposed("ada", "a", 1)]}, cursors={})
        assert list(first.exposures(ONE)) == [Exposed("ada", "a", 1)]
        first.close()
        second.close()

    def test_a_forgotten_unit_leaves_nothing(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "trials.db")
        for trial in (ONE, TWO):
            store.expose({trial: [Exposed("ada", "a", 1), Exposed("bo", "a", 1)]}, cursors={})
            store.report(trial, [Report("ada", "bought", 1.0, 5), Report("bo", "bought", 1.0, 5)], now=9, source="test")
        assert store.forget(["ada", "nobody"]) == 4
        assert store.forget(["ada"]) == 0
        assert [one.unit for trial in (ONE, TWO) for one in store.exposures(trial)] == ["bo", "bo"]
        assert [one.unit for trial in (ONE, TWO) for one in store.reports(trial)] == ["bo", "bo"]
        store.close()

    def test_a_closed_store_says_so(self, tmp_path: Path) -> None:
        store = self.open(tmp_path / "trials.db")
        store.close()
        store.close()
        with pytest.raises(StorageError, match="was closed"):
            store.cursors()

"""What every runtime must do: answer each row alone as in company, refuse what it can't answer, close.

class TestRule(RuntimeConformance):
    output = "probability"  # with labels = 3, say, for "probabilities"

    def runtime(self) -> Runtime: ...
    def batch(self) -> Batch: ...
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kring.errors import StorageError, Unavailable
from kring.ports.runtime import Runtime, Stoppable
from kring.record.batch import Batch
from kring.record.version import Output


def unavailable(call: Callable[[], object]) -> Unavailable:
    """The `Unavailable` that `call` raises."""
    try:
        call()
    except StorageError as error:
        raise AssertionError("a model's failure is not the disk's") from error
    except Unavailable as error:
        return error
    raise AssertionError("it answered")


def part(batch: Batch, rows: list[int]) -> Batch:
    """Some rows of `batch`."""
    return Batch(len(rows), {name: np.asarray(column)[rows] for name, column in batch.columns.items()})


class RuntimeConformance(ABC):
    """Inherit it, and say how the runtime is opened and what it can answer (8 rows or more)."""

    output: ClassVar[Output]
    labels: ClassVar[int] = 0

    def width(self) -> tuple[int, ...]:
        """The shape of one row's answer: `labels` numbers where there are labels."""
        return (self.labels,) if self.labels else ()

    @abstractmethod
    def runtime(self) -> Runtime:
        """A runtime that was just opened."""

    @abstractmethod
    def batch(self) -> Batch:
        """Rows that it answers; every column in it is needed."""

    def answers(self, batch: Batch) -> NDArray[np.float64]:
        out = self.runtime().answer(batch)
        assert out.n == batch.n
        assert list(out.columns) == [self.output]
        values = np.asarray(out.columns[self.output])
        assert values.dtype == np.float64
        return values

    def test_every_row_is_answered(self) -> None:
        values = self.answers(self.batch())
        assert np.isfinite(values).all()
        assert self.output == "value" or ((values >= 0) & (values <= 1)).all()
        assert values.shape == (self.batch().n, *self.width())
        if self.output == "probabilities":
            np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-3)

    def test_a_row_alone_is_answered_as_in_company(self) -> None:
        batch = self.batch()
        together = self.answers(batch)
        for row in range(8):
            np.testing.assert_allclose(self.answers(part(batch, [row])), together[[row]], rtol=1e-6, atol=1e-7)

    def test_order_of_rows_and_columns_changes_nothing(self) -> None:
        batch = self.batch()
        turned = part(batch, list(range(batch.n))[::-1])
        mixed = Batch(batch.n, dict(reversed(list(turned.columns.items()))))
        np.testing.assert_allclose(self.answers(mixed)[::-1], self.answers(batch), rtol=1e-6, atol=1e-7)

    def test_lists_are_columns_too_and_others_are_not_read(self) -> None:
        batch = self.batch()
        lists = {name: list(np.asarray(column).tolist()) for name, column in batch.columns.items()}
        np.testing.assert_array_equal(
            self.answers(Batch(batch.n, {**lists, "not asked for": [None] * batch.n})), self.answers(batch)
        )

    def test_no_rows_no_answers(self) -> None:
        assert self.answers(part(self.batch(), [])).shape == (0, *self.width())

    def test_a_missing_column_is_named(self) -> None:
        batch = self.batch()
        for name in batch.columns:
            less = Batch(batch.n, {other: column for other, column in batch.columns.items() if other != name})
            assert name in str(unavailable(partial(self.runtime().answer, less)))

    def test_a_stop_while_nothing_is_asked_changes_nothing(self) -> None:
        runtime = self.runtime()
        if isinstance(runtime, Stoppable):
            runtime.stop(threading.get_ident())
            runtime.stop(-1)
        assert runtime.answer(self.batch()).n == self.batch().n

    def test_closing_twice_is_allowed(self) -> None:
        runtime = self.runtime()
        runtime.answer(self.batch())
        runtime.close()
        runtime.close()

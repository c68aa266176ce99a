"""What every source of chance must do."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kring.ports.random import Random


class RandomSuite(ABC):
    @abstractmethod
    def make(self) -> Random:
        """A source of chance."""

    def test_as_many_bytes_as_were_asked_for(self) -> None:
        random = self.make()
        assert [len(random.bytes(n)) for n in (0, 1, 31, 32, 33, 100_000)] == [0, 1, 31, 32, 33, 100_000]

    def test_no_two_draws_are_equal(self) -> None:
        random = self.make()
        assert len({random.bytes(16) for _ in range(1000)}) == 1000

    def test_every_value_of_a_byte_comes_up(self) -> None:
        assert set(self.make().bytes(100_000)) == set(range(256))

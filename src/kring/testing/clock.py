"""What every clock must do."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kring.ports.clock import Clock

YEAR_2020_US = 1_577_836_800_000_000


class ClockSuite(ABC):
    @abstractmethod
    def make(self) -> Clock:
        """A clock that shows a moment after the year 2020 began."""

    @abstractmethod
    def pass_time(self, clock: Clock) -> None:
        """Let at least a millisecond pass on `clock`."""

    def test_the_wall_clock_counts_microseconds(self) -> None:
        now = self.make().now()
        assert isinstance(now, int)
        assert YEAR_2020_US < now < 100 * YEAR_2020_US

    def test_both_clocks_go_forward(self) -> None:
        clock = self.make()
        now, monotonic = clock.now(), clock.monotonic()
        self.pass_time(clock)
        assert clock.now() > now
        assert clock.monotonic() >= monotonic + 0.0009

    def test_the_monotonic_clock_never_goes_back(self) -> None:
        clock = self.make()
        seen = [clock.monotonic() for _ in range(1000)]
        assert seen == sorted(seen)

"""One small system that has lived for a while: two versions, an alarm, a rollout after another."""

from __future__ import annotations

import pytest

from lives import TURNS_ON, Lived, live
from systems import loans_feed, write_loans


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = write_loans(tmp_path_factory.mktemp("lived") / "loans", feed=loans_feed(turns_on=TURNS_ON))
    made = live(folder, folder / "home")
    assert not made.own.home.ledger.exists(), "the system's own state is not touched"
    return made

"""R1: kill -9 of workers, of the supervisor, and of all at once, at any moment, under load."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import pytest
from asking import Acknowledged, Load
from released import Released
from rows import parcel

from living import end_now, kill, until, workers
from served import Server, free_port, start
from systems import kring

KILLS: Final = 50
LONG_KILLS: Final = 1000
IN_A_ROUND: Final = 9
"""Kills of one start: the last one takes the whole server."""


def test_no_acknowledged_decision_is_lost_or_changed(parcels: Released) -> None:
    campaign(parcels, kills=KILLS, seed=1)


@pytest.mark.long
def test_a_thousand_kills_lose_nothing(parcels: Released) -> None:
    campaign(parcels, kills=LONG_KILLS, seed=2)


def campaign(system: Released, *, kills: int, seed: int) -> None:
    """Round after round on the same folder: what was acknowledged in the first must stand there after the last."""
    chance, kept, port = random.Random(seed), Acknowledged(), free_port()
    done, rounds = 0, 0
    while done < kills:
        server = start([system.folder], workers=2, port=port)
        in_round = min(IN_A_ROUND, kills - done)
        try:
            asyncio.run(one_round(server, system, kept, chance, kills=in_round))
        finally:
            server.stop()
        done, rounds = done + in_round, rounds + 1
        kept.hold_against(system.folder, system=system.name)
    assert len(kept.answers) >= kills
    assert not kept.strange, kept.strange[:3]
    with_start(system, kept, port)


async def one_round(server: Server, system: Released, kept: Acknowledged, chance: random.Random, *, kills: int) -> None:
    load = Load(server.port, system.key, rows=parcel, kept=kept)
    try:
        for _ in range(kills - 1):
            await load.until(chance.randint(1, 40))
            await asyncio.sleep(chance.uniform(0, 0.05))
            living = list(workers(system.folder).values())
            if living:
                kill(chance.choice(living))
        await load.until(chance.randint(1, 40))
        end_now(server, all_at_once=chance.random() < 0.5)
    finally:
        await load.stop()


def shown(server: Server, id: str, key: str) -> bool:
    return server.ask("GET", f"/api/decisions/{id}", key=key).status == 200


def with_start(system: Released, kept: Acknowledged, port: int) -> None:
    """After all of it the server starts, answers who asks again with an old key as before, and traces the oldest."""
    server = start([system.folder], workers=2, port=port)
    try:
        for id in (min(kept.answers), max(kept.answers)):
            until(lambda id=id: shown(server, id, system.key), f"a look at {id}", log=server.log)
            told = kring("trace", id, system.folder, "--json")
            assert told.code == 0, told.err
    finally:
        assert server.stop() == 0, server.log.read_text()
    kept.hold_against(system.folder, system=system.name)

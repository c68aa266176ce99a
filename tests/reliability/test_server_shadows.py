"""R18: a version that answers the same row in different ways is told from one that does not, by its shadow."""

from __future__ import annotations

from typing import Any

import moods
from released import Released

from living import until
from served import Server, serving
from systems import kring

ROWS = 40


def in_shadow(system: Released) -> str:
    """Release the same code once more, beside the one that is live: its shadow."""
    config = system.folder / "kring.toml"
    config.write_text(config.read_text().replace('timeout = "20s"', 'timeout = "21s"'))
    for words in (("train", system.folder, "--candidate", "moody"), ("release", system.folder, "--candidate", "moody")):
        told = kring(*words)
        assert told.code == 0, told.err
    return str(rollout(system)["version"])


def rollout(system: Released) -> dict[str, Any]:
    found: dict[str, Any] = kring("--json", "status", system.folder).json["rollout"]
    return found


def compared(server: Server, *, rows: int) -> dict[str, Any]:
    """What is told of the shadow, once so many rows were put to it."""

    def told() -> dict[str, Any]:
        shadow = server.ask("GET", "/api/systems/moody").json["shadow"]
        return shadow if isinstance(shadow, dict) else {"rows": 0}

    until(lambda: told()["rows"] >= rows, f"{rows} rows that were compared", log=server.log)
    return told()


def ask(server: Server, mood: float) -> None:
    for number in range(ROWS):
        assert server.ask("POST", "/api/decisions", {"inputs": moods.row(mood, number)}).status == 200


def test_a_version_that_answers_by_chance_is_told_by_its_shadow(moody: Released) -> None:
    shadow = in_shadow(moody)
    with serving([moody.folder], workers=1) as server:
        server.key = moody.key
        ask(server, moods.FINE)
        alike = compared(server, rows=ROWS)
        assert alike == {
            "version": shadow,
            "rows": ROWS,
            "failures": 0,
            "compared": ROWS,
            "agreement": 1.0,
            "mean_difference": 0.0,
        }
        ask(server, moods.BY_CHANCE)
        apart = compared(server, rows=2 * ROWS)
        assert apart["rows"] == 2 * ROWS
        assert apart["agreement"] < 0.95
        assert apart["mean_difference"] > 0.05
        page = server.ask("GET", "/systems/moody", headers={"accept": "text/html"}).body.decode()
        assert "was asked beside it for 80 rows" in page
        ask(server, moods.SAYS_NAN)
        until(lambda: rollout(moody)["state"] == "aborted", "the end of a version that does not answer", log=server.log)

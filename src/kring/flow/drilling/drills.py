"""What is done to the copy in each drill, and what ought to come of it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from kring.errors import KringError
from kring.flow.benching.serving import Address, headers_for
from kring.flow.checking import check_feed
from kring.flow.drilling.asker import Asker, Said, asking, once, told
from kring.flow.keys import create_key, revoke_key
from kring.flow.project import Project
from kring.host.clock import stopwatch
from kring.host.page import open_page
from kring.ports.page import Vitals
from kring.record.running import DrillName

LOOK_S: Final = 0.02
PATIENCE_S: Final = 90.0
STEADY: Final = 20
"""So many answers in a row, all good, and all is as before."""

OTHERS_S: Final = 30.0
"""So long is waited for others to answer in place of what was damaged: there may be none."""

KEY_US: Final = 3_600_000_000
OK: Final = 200
SHUT_OUT: Final = (401, 429)
"""A key that is not believed, and one that was shown too often for that to be looked up again."""

WORKERS_TRIED: Final = 8
"""So many refusals in a row, and every worker has heard that a key is revoked."""


class Came(NamedTuple):
    """What came of a drill; see `Drilled`."""

    passed: bool
    happened: str
    detected_s: float | None
    recovered_s: float | None
    said: Sequence[Said] = ()


class Copy(NamedTuple):
    """The copy of the system, its server, and questions to ask it."""

    project: Project
    address: Address
    bodies: Sequence[str]
    live: str


def dead_worker(copy: Copy) -> Came:
    """A data worker dies at once. The others go on answering, and the supervisor starts another."""
    return _without_worker(copy, signal.SIGKILL, "a data worker was killed")


def hung_model(copy: Copy) -> Came:
    """A data worker stands still in the middle of whatever it does. It is found out, killed and replaced."""
    return _without_worker(copy, signal.SIGSTOP, "a data worker was made to stand still")


def store_down(copy: Copy) -> Came:
    """The ledger goes away and comes back. Serving never needs it."""
    ledger = copy.project.home.ledger
    aside = ledger.with_name("gone")
    with asking(copy.address, copy.bodies) as asker:
        began = stopwatch()
        _moved(ledger, aside)
        noticed = _unreadable(copy.project, since=began)
        enough = _until(lambda: len(asker.since(began)) >= 3 * STEADY)
        back = stopwatch()
        _moved(aside, ledger)
        steady = _until(lambda: _is_steady(asker, back)) and _readable(copy.project)
        recovered = stopwatch() - back
        said = asker.since(began)
    _, failed, _ = told(said)
    passed = enough and steady and not failed
    return Came(
        passed,
        f"the ledger was taken away for {back - began:.1f} s and put back: {failed} of {len(said)} requests failed",
        noticed,
        recovered if steady else None,
        said,
    )


def bad_feed(copy: Copy) -> Came:
    """A feed comes in which every number is a text. It never becomes a snapshot, and what is live goes on."""
    with asking(copy.address, copy.bodies) as asker:
        began = stopwatch()
        feed = copy.project.folder / "drill-feed.csv"
        names = [field.name for field in copy.project.contract.fields]
        feed.write_text("\n".join([",".join(names), *(",".join(["?"] * len(names)) for _ in range(100))]) + "\n")
        try:
            report = check_feed(copy.project, path=feed).report
            refused, why = report.result == "fail", f"{len(report.findings)} findings"
        except KringError as error:
            refused, why = True, error.message
        detected = stopwatch() - began
        _until(lambda: len(asker.since(began)) >= STEADY)
        said = asker.since(began)
    _, failed, _ = told(said)
    return Came(
        refused and not failed,
        f"a feed that breaks the contract was {'refused' if refused else 'taken'}: {why}",
        detected if refused else None,
        0.0 if refused else None,
        said,
    )


def bad_release(copy: Copy) -> Came:
    """The bytes of the live version are not those that were signed, and every worker starts anew. None of them answers
    with these bytes; another rung of the ladder does, or nobody, until the version is put back."""
    version = copy.project.home.versions / copy.live
    wrong = max((file for file in version.rglob("*") if file.is_file() and file.name != "signature.json"), key=_size)
    good = wrong.read_bytes()
    with asking(copy.address, copy.bodies) as asker:
        began = stopwatch()
        _replaced(wrong, good[:-1] + bytes([good[-1] ^ 1]))
        before = _workers(copy)
        for pid in before.values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        noticed = _until(lambda: any(one.who != copy.live for one in asker.since(began)))
        detected = stopwatch() - began
        _until(lambda: _is_steady(asker, began + detected), seconds=OTHERS_S)
        back = stopwatch()
        wrongly = [one for one in asker.since(began + detected) if one.who == copy.live]
        _replaced(wrong, good)
        steady = _until(lambda: _is_steady(asker, back) and all(one.who == copy.live for one in asker.said[-STEADY:]))
        recovered = stopwatch() - back
        said = asker.since(began)
    others = sorted({one.who for one in said if one.at < back and one.status == OK and one.who != copy.live})
    passed = noticed and steady and not wrongly
    return Came(
        passed,
        f"{wrong.name} of the live version was changed and every worker was killed: {len(wrongly)} answers came from "
        f"the changed bytes, in its place answered {' and '.join(others) or 'nobody'}",
        detected if noticed else None,
        recovered if steady else None,
        said,
    )


def leaked_key(copy: Copy) -> Came:
    """A key is in the wrong hands and is revoked. From then on it opens nothing, and other keys go on."""
    made = create_key([copy.project], role="caller", label="drill", owner="kring drill", lasts_us=KEY_US, env="dev")
    thief = copy.address._replace(headers=headers_for(copy.project, made.secret))
    let_in = _until(lambda: once(thief, copy.bodies[0]).status == 200)
    with asking(copy.address, copy.bodies) as asker:
        began = stopwatch()
        revoke_key([copy.project], made.key.id, owner="kring drill")
        shut = _until(lambda: all(once(thief, copy.bodies[0]).status in SHUT_OUT for _ in range(WORKERS_TRIED)))
        recovered = stopwatch() - began
        later = [once(thief, body).status for body in [*copy.bodies] * STEADY][:STEADY]
        said = asker.since(began)
    _, failed, _ = told(said)
    passed = let_in and shut and not any(200 <= status < 300 for status in later) and not failed
    return Came(
        passed,
        f"a key was revoked and asked on: {'it was shut out' if shut else 'it still opens'}; {failed} requests of "
        "others failed",
        None,
        recovered if shut else None,
        said,
    )


def _without_worker(copy: Copy, how: signal.Signals, what: str) -> Came:
    with asking(copy.address, copy.bodies) as asker:
        before = _workers(copy)
        seat, pid = min(before.items())
        began = stopwatch()
        os.kill(pid, how)
        noticed = _until(lambda: _workers(copy).get(seat, 0) != pid)
        detected = stopwatch() - began
        back = _until(lambda: _ready(copy).get(seat, pid) != pid)
        recovered = stopwatch() - began
        steady = back and _until(lambda: _is_steady(asker, began + recovered))
        said = asker.since(began)
    _, failed, _ = told(said)
    return Came(
        noticed and steady,
        f"{what}: {'another took its place' if back else 'nobody took its place'}; {failed} of {len(said)} requests "
        "failed meanwhile",
        detected if noticed else None,
        recovered if steady else None,
        said,
    )


def _workers(copy: Copy) -> dict[int, int]:
    """Processes by seat."""
    return {seat: one.pid for seat, one in _vitals(copy).items() if one.pid}


def _ready(copy: Copy) -> dict[int, int]:
    return {seat: one.pid for seat, one in _vitals(copy).items() if one.pid and one.ready}


def _vitals(copy: Copy) -> dict[int, Vitals]:
    page = open_page(copy.project.home.root / "serve" / "page", writer=False)
    try:
        return {seat: one.vitals() for seat, one in enumerate(page.seats)}
    finally:
        page.close()


def _until(true: Callable[[], object], *, seconds: float = PATIENCE_S) -> bool:
    end = stopwatch() + seconds
    while stopwatch() < end:
        if true():
            return True
        time.sleep(LOOK_S)
    return False


def _is_steady(asker: Asker, at: float) -> bool:
    said = asker.since(at)
    return len(said) >= STEADY and all(one.status == 200 for one in said[-STEADY:])


def _unreadable(project: Project, *, since: float) -> float | None:
    """How long until somebody who reads the ledger is told that it is gone."""
    return None if _readable(project) else stopwatch() - since


def _readable(project: Project) -> bool:
    if not project.home.ledger.exists():
        return False
    try:
        with project.ledger() as ledger:
            return ledger.head().seq > 0
    except KringError:
        return False


def _moved(one: Path, other: Path) -> None:
    """A database and the files beside it."""
    for ending in ("", "-wal", "-shm"):
        source = one.with_name(one.name + ending)
        if source.exists():
            source.rename(other.with_name(other.name + ending))


def _replaced(file: Path, data: bytes) -> None:
    """A new file in its place: whoever has the old one open keeps it."""
    other = file.with_name(file.name + ".drill")
    shutil.copy(file, other)
    other.chmod(0o644)
    other.write_bytes(data)
    other.replace(file)


def _size(file: Path) -> int:
    return file.stat().st_size


DRILLS: Final[Mapping[DrillName, Callable[[Copy], Came]]] = {
    "dead_worker": dead_worker,
    "hung_model": hung_model,
    "store_down": store_down,
    "bad_feed": bad_feed,
    "bad_release": bad_release,
    "leaked_key": leaked_key,
}

"""A user's own function that does not do what it should: refused with the reason, and the others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import pytest
from commands import kring, leftovers
from parcels import MODELS, with_own

MAKE: Final = "make_pipeline(StandardScaler(), LogisticRegression())"


class Own(NamedTuple):
    """The file, what its run must say (empty: it is done), and the bounds."""

    code: str
    word: str
    timeout: str = "60s"
    memory_mb: int = 2048


def returning(what: str) -> str:
    return MODELS.replace(f"return {MAKE}", f"return {what}")


def first(what: str) -> str:
    return MODELS.replace("    return", f"    {what}\n    return")


QUICK: Final = {
    "raises": Own(first('raise RuntimeError("no luck")'), "RuntimeError: no luck"),
    "returns nothing": Own(returning("None"), "does not return an estimator"),
    "returns a class": Own(returning("LogisticRegression"), "return LogisticRegression(...)"),
    "never ends": Own("def own(spec):\n    while True: pass\n", "did not end within 2 s", timeout="2s"),
    "ends its process": Own("import os\ndef own(spec): os._exit(0)\n", "without an answer"),
    "eats memory": Own(
        "def own(spec):\n    x = []\n    while True: x.append(bytearray(50_000_000))\n", "memory", memory_mb=900
    ),
    "is no Python": Own("def own(spec:\n", "SyntaxError"),
    "is empty": Own("", "no function own"),
    "kills itself": Own("import os\ndef own(spec): os.kill(os.getpid(), 11)\n", "SIGSEGV"),
}
SLOW: Final = {
    "is fitted": Own(returning("LogisticRegression().fit([[0], [1]], [0, 1])"), "fitted already"),
    "answers something else": Own(MODELS.replace("LogisticRegression", "Ridge"), "predict_proba"),
    "prints a gigabyte": Own(first('for _ in range(2000): print("x" * 500_000)'), ""),
    "deletes its file": Own(first("__import__('os').remove(__file__)"), ""),
    "leaves a child behind": Own(first("import os, time\n    if os.fork() == 0: time.sleep(60)"), ""),
}


@pytest.mark.parametrize("name", QUICK)
def test_it_is_refused_with_the_reason(name: str, released: Path) -> None:
    judge(QUICK[name], released)


@pytest.mark.parametrize("name", SLOW)
def test_it_is_judged_by_what_it_made(name: str, released: Path) -> None:
    judge(SLOW[name], released)


def judge(own: Own, folder: Path) -> None:
    with_own(folder, own.code, timeout=own.timeout, memory_mb=own.memory_mb)
    answer = kring("train", folder)
    assert answer.exit == 0, answer
    runs = {one["run"]["candidate"]: one for one in answer.object["runs"]}
    assert runs["linear"]["run"]["state"] == "done"
    assert runs["own"]["run"]["state"] == ("refused" if own.word else "done"), runs["own"]
    assert own.word in runs["own"]["why"]
    assert leftovers(folder) == []


def test_when_all_are_refused_the_answer_is_no(released: Path) -> None:
    with_own(released, QUICK["ends its process"].code)
    answer = kring("train", released, "--candidate", "own")
    assert answer.exit == 1
    assert [one["run"]["state"] for one in answer.object["runs"]] == ["done", "refused"]
    released_now = kring("release", released, "--candidate", "own")
    assert (released_now.exit, released_now.error["code"]) == (2, "not_found")

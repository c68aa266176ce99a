"""Wrong words on the command line: one object with code, message and remedy, the right exit code, nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from commands import contents, kring

SYSTEM: Final = (
    ("check",),
    ("train",),
    ("compare",),
    ("release",),
    ("go",),
    ("status",),
    ("clean",),
    ("snapshot", "list"),
    ("snapshot", "restore", "latest"),
    ("snapshot", "diff", "previous", "latest"),
    ("ask", "why?"),
    ("explain", "d_00000000000000000000000000"),
    ("bench", "serve"),
    ("brief",),
    ("drill", "bad_feed"),
    ("serve",),
    ("forget", "ada"),
    ("outcome", "--decision", "d_00000000000000000000000000", "--value", "true"),
    ("flag", "list"),
    ("flag", "show", "greeting"),
    ("flag", "off", "greeting"),
    ("flag", "on", "greeting"),
    ("trial", "list"),
    ("trial", "start", "greetings"),
    ("trial", "show", "greetings"),
    ("trial", "stop", "greetings", "--reason", "x"),
    ("alarms", "list"),
    ("alarms", "show", "a_1"),
    ("alarms", "ack", "a_1"),
    ("alarms", "silence", "a_1", "--for", "2h"),
    ("alarms", "resolve", "a_1", "--because", "x"),
    ("alarms", "test", "night"),
    ("review",),
    ("retrain",),
    ("replay", "--shadow", "v_none"),
    ("key", "list"),
    ("key", "create", "--role", "caller", "--name", "till 4"),
    ("key", "revoke", "aaaaaaaaaaaaaaaa"),
)

WRONG: Final = {
    "no command": ((), 2, "use"),
    "a load test of others": (("bench", "serve", "DIR", "--url", "http://example.org"), 2, "use"),
    "a load test of no server": (("bench", "serve", "DIR", "--url", "http://127.0.0.1:1"), 3, "unavailable"),
    "a load test of no address": (("bench", "serve", "DIR", "--url", "here"), 2, "use"),
    "too many connections": (("bench", "serve", "DIR", "--connections", "16,257"), 2, "use"),
    "no connections": (("bench", "serve", "DIR", "--connections", "0"), 2, "use"),
    "connections in words": (("bench", "serve", "DIR", "--connections", "some"), 2, "use"),
    "too long a load test": (("bench", "serve", "DIR", "--seconds", "61"), 2, "use"),
    "serve two of one name": (("serve", "DIR", "DIR"), 2, "use"),
    "serve on no port": (("serve", "DIR", "--port", "0"), 2, "use"),
    "serve on a port beyond all": (("serve", "DIR", "--port", "65536"), 2, "use"),
    "serve on a port in words": (("serve", "DIR", "--port", "http"), 2, "use"),
    "serve two things on one port": (("serve", "DIR", "--port", "8123", "--grpc-port", "8123"), 2, "use"),
    "serve with too many workers": (("serve", "DIR", "--workers", "257"), 2, "use"),
    "serve with less than none": (("serve", "DIR", "--workers", "-1"), 2, "use"),
    "serve on a name": (("serve", "DIR", "--host", "kring.example.org", "--behind-proxy"), 2, "use"),
    "serve on nothing": (("serve", "DIR", "--host", ""), 2, "use"),
    "serve on another machine's address": (("serve", "DIR", "--host", "192.0.2.1", "--behind-proxy"), 2, "use"),
    "serve all without protection": (("serve", "DIR", "--host", "0.0.0.0"), 2, "use"),
    "serve as anybody": (("serve", "DIR", "--name", "*"), 2, "use"),
    "serve the pages of anybody": (("serve", "DIR", "--origin", "null"), 2, "use"),
    "serve with half a certificate": (("serve", "DIR", "--tls-cert", "DIR/kring.toml"), 2, "use"),
    "serve with the other half": (("serve", "DIR", "--tls-key", "DIR/kring.toml"), 2, "use"),
    "serve all with half a certificate": (
        ("serve", "DIR", "--host", "0.0.0.0", "--tls-cert", "DIR/kring.toml"),
        2,
        "use",
    ),
    "serve with a certificate from nowhere": (("serve", "DIR", "--tls-cert", "DIR/a", "--tls-key", "DIR/b"), 2, "use"),
    "serve with a certificate that is none": (
        ("serve", "DIR", "--tls-cert", "DIR/kring.toml", "--tls-key", "DIR/kring.toml"),
        2,
        "use",
    ),
    "a drill that is none": (("drill", "flood", "DIR"), 2, "use"),
    "a drill without a name": (("drill",), 2, "use"),
    "a drill of nothing": (("drill", ""), 2, "use"),
    "a drill of two systems": (("drill", "bad_feed", "DIR", "DIR"), 2, "use"),
    "a drill where nothing is live": (("drill", "bad_feed", "DIR", "--home", "DIR/empty"), 2, "not_found"),
    "a drill in a home that is a file": (("drill", "bad_feed", "DIR", "--home", "DIR/kring.toml"), 2, "not_found"),
    "a brief of two systems": (("brief", "DIR", "DIR"), 2, "use"),
    "a brief where nothing is live": (("brief", "DIR", "--home", "DIR/empty"), 2, "not_found"),
    "a brief into what is there": (("brief", "DIR", "--out", "DIR"), 2, "data"),
    "a brief into a file": (("brief", "DIR", "--out", "DIR/kring.toml"), 2, "data"),
    "a brief into nothing": (("brief", "DIR", "--out", ""), 2, "data"),
    "a flag that is none": (("flag", "off", "greeting", "DIR"), 2, "not_found"),
    "a flag that is none to show": (("flag", "show", "greeting", "DIR"), 2, "not_found"),
    "a flag for nobody": (("flag", "show", "greeting", "DIR", "--context", "{}"), 2, "not_found"),
    "a flag without a name": (("flag", "off"), 2, "use"),
    "a flag without a verb": (("flag", "DIR"), 2, "use"),
    "a trial that is none": (("trial", "start", "greetings", "DIR"), 2, "not_found"),
    "a trial that is none to show": (("trial", "show", "greetings", "DIR"), 2, "not_found"),
    "a trial that is none to stop": (("trial", "stop", "greetings", "DIR", "--reason", "x"), 2, "not_found"),
    "a trial stopped without a reason": (("trial", "stop", "greetings", "DIR"), 2, "use"),
    "outcomes of a trial that is none": (("trial", "outcomes", "x", "DIR", "--from", "DIR/feed.csv"), 2, "not_found"),
    "outcomes of a trial from nothing": (("trial", "outcomes", "x", "DIR"), 2, "use"),
    "a table from nowhere": (("trial", "read", "--from", "DIR/no.csv", "--arm", "a", "--outcome", "b"), 2, "data"),
    "a table that is none": (("trial", "read", "--from", "DIR", "--arm", "a", "--outcome", "b"), 2, "data"),
    "a table without arms": (("trial", "read", "--from", "DIR/feed.csv", "--outcome", "b"), 2, "use"),
    "a table with other columns": (
        ("trial", "read", "--from", "DIR/feed.csv", "--arm", "a", "--outcome", "b"),
        2,
        "data",
    ),
    "a table at no risk": (
        ("trial", "read", "--from", "DIR/feed.csv", "--arm", "a", "--outcome", "b", "--alpha", "0"),
        2,
        "use",
    ),
    "a table with shares in words": (
        ("trial", "read", "--from", "DIR/feed.csv", "--arm", "a", "--outcome", "b", "--share", "a=half"),
        2,
        "use",
    ),
    "a table with bounds that don't rise": (
        ("trial", "read", "--from", "DIR/feed.csv", "--arm", "a", "--outcome", "b", "--bounds", "b=5..1"),
        2,
        "use",
    ),
    "a table from a device": (("trial", "read", "--from", "/dev/zero", "--arm", "a", "--outcome", "b"), 2, "data"),
    "an alarm that never rang": (("alarms", "show", "a_1", "DIR"), 2, "not_found"),
    "an alarm of no name": (("alarms", "ack", "", "DIR"), 2, "not_found"),
    "no alarm": (("alarms", "ack"), 2, "use"),
    "silence for no time": (("alarms", "silence", "a_1", "DIR", "--for", "0s"), 2, "use"),
    "silence for a feeling": (("alarms", "silence", "a_1", "DIR", "--for", "a while"), 2, "use"),
    "silence for too long": (("alarms", "silence", "a_1", "DIR", "--for", "91d"), 2, "use"),
    "silence without an end": (("alarms", "silence", "a_1", "DIR"), 2, "use"),
    "an end without a reason": (("alarms", "resolve", "a_1", "DIR"), 2, "use"),
    "an end that speaks to terminals": (
        ("alarms", "resolve", "a_1", "DIR", "--because", "\x1b[2J"),
        2,
        "use",
    ),
    "a test for nobody": (("alarms", "test", "night", "DIR"), 2, "not_found"),
    "alarms of two": (("alarms", "DIR", "DIR"), 2, "use"),
    "forget nobody": (("forget",), 2, "use"),
    "forget who has no name": (("forget", "", "DIR"), 1, "refused"),
    "an outcome of nothing": (("outcome", "DIR"), 2, "use"),
    "an outcome without a value": (("outcome", "DIR", "--decision", "d_00000000000000000000000000"), 2, "use"),
    "an outcome and a file": (
        ("outcome", "DIR", "--decision", "d_0", "--value", "true", "--from", "DIR/feed.csv"),
        2,
        "use",
    ),
    "outcomes from nowhere": (("outcome", "DIR", "--from", "DIR/nothing.csv"), 2, "data"),
    "outcomes that are a contract": (("outcome", "DIR", "--from", "DIR/contract.odcs.yaml"), 2, "data"),
    "a review without a word": (("review", "d_00000000000000000000000000", "DIR"), 2, "use"),
    "a review of nothing": (("review", "DIR", "--says", "true", "--by", "Ada"), 2, "use"),
    "a review by nobody": (("review", "d_00000000000000000000000000", "DIR", "--says", "true"), 2, "use"),
    "a review of what nobody decided": (
        ("review", "d_00000000000000000000000000", "DIR", "--says", "true", "--by", "Ada"),
        2,
        "not_found",
    ),
    "reviews of two": (("review", "DIR", "DIR"), 2, "use"),
    "no reviews": (("review", "DIR", "--most", "0"), 2, "use"),
    "a training for no reason": (("retrain", "DIR", "--now"), 2, "use"),
    "a reason for no training": (("retrain", "DIR", "--because", "why not"), 2, "use"),
    "a yes to nothing": (("retrain", "DIR", "--approve", "--because", "yes"), 1, "refused"),
    "an end of no training": (("retrain", "DIR", "--cancel", "--because", "stop"), 1, "refused"),
    "a shadow of nobody": (("replay", "DIR", "--shadow", "v_none"), 2, "not_found"),
    "a shadow with other settings": (
        ("replay", "DIR", "--shadow", "v_none", "--with", "DIR/kring.toml"),
        2,
        "use",
    ),
    "outcomes from a device": (("outcome", "DIR", "--from", "/dev/zero"), 2, "data"),
    "an outcome of no moment": (
        ("outcome", "DIR", "--decision", "d_0", "--value", "true", "--at", "soon"),
        2,
        "use",
    ),
    "unknown command": (("chekc",), 2, "use"),
    "unknown option": (("check", "DIR", "--colour"), 2, "use"),
    "two folders": (("check", "DIR", "DIR"), 2, "use"),
    "wrong moment": (("check", "DIR", "--as-of", "yesterday"), 2, "use"),
    "a month too many": (("check", "DIR", "--as-of", "2024-13-01"), 2, "use"),
    "wrong seed": (("train", "DIR", "--seed", "many"), 2, "use"),
    "unknown candidate": (("train", "DIR", "--candidate", "nobody"), 2, "use"),
    "unknown candidate to release": (("release", "DIR", "--candidate", "nobody"), 2, "not_found"),
    "unknown snapshot": (("train", "DIR", "--snapshot", "s_1"), 2, "not_found"),
    "snapshot to show": (("snapshot", "show", "DIR", "--id", "s_1"), 2, "not_found"),
    "replay without a span": (("replay", "DIR"), 2, "use"),
    "replay backwards": (("replay", "DIR", "--from", "2024-02-20", "--to", "2024-02-10"), 2, "use"),
    "replay of nothing": (("replay", "DIR", "--from", "2034-02-10", "--to", "2034-02-20"), 2, "data"),
    "replay before all": (("replay", "DIR", "--from", "0001-01-01", "--to", "0001-01-02"), 2, "data"),
    "replay to the end of time": (("replay", "DIR", "--from", "9999-12-30", "--to", "9999-12-31"), 2, "data"),
    "trace of nothing": (("trace", "d_00000000000000000000000000", "DIR"), 2, "not_found"),
    "trace of a word": (("trace", "hello", "DIR"), 2, "not_found"),
    "trace of a letter": (("trace", "d_!", "DIR"), 2, "not_found"),
    "explanation of nothing": (("explain", "d_00000000000000000000000000", "DIR"), 2, "not_found"),
    "explanation of a word": (("explain", "hello", "DIR"), 2, "not_found"),
    "explanation of a version": (("explain", "v_00000000000000000000000000", "DIR"), 2, "not_found"),
    "explanation of no id": (("explain", "", "DIR"), 2, "not_found"),
    "explanation without an id": (("explain",), 2, "use"),
    "explanation by magic": (("explain", "d_00000000000000000000000000", "DIR", "--method", "magic"), 2, "use"),
    "explanation from nowhere": (
        ("explain", "d_00000000000000000000000000", "DIR", "--home", "DIR/nowhere"),
        2,
        "not_found",
    ),
    "rollback without a reason": (("rollback", "DIR"), 2, "use"),
    "rollback of the first": (("rollback", "DIR", "--reason", "x"), 1, "refused"),
    "page in a folder": (("compare", "DIR", "--html", "DIR"), 2, "use"),
    "demo in a system": (("demo", "--out", "DIR"), 2, "use"),
    "demo in a file": (("demo", "--out", "DIR/kring.toml"), 2, "use"),
    "replay in a system": (("replay", "DIR", "--from", "2024-02-15", "--to", "2024-02-16", "--home", "DIR"), 2, "use"),
    "replay in a file": (
        ("replay", "DIR", "--from", "2024-02-15", "--to", "2024-02-16", "--home", "DIR/kring.toml"),
        2,
        "use",
    ),
    "a source that is not there": (("check", "DIR", "--source", "DIR/nothing.csv"), 2, "data"),
    "scores for nobody": (("score", "DIR/feed.csv", "DIR"), 2, "use"),
    "scores of nothing": (("score", "DIR/nothing.csv", "DIR", "--out", "DIR/o.csv"), 2, "data"),
    "scores of many kinds": (("score", "DIR/*", "DIR", "--out", "DIR/o.csv"), 2, "data"),
    "scores of a device": (("score", "/dev/zero", "DIR", "--out", "DIR/o.csv"), 2, "data"),
    "scores into nowhere": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/no/o.csv"), 2, "not_found"),
    "scores into a folder": (("score", "DIR/feed.csv", "DIR", "--out", "DIR"), 2, "use"),
    "scores in another format": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/o.txt"), 2, "use"),
    "scores over the rows": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/feed.csv", "--force"), 2, "use"),
    "scores over kring.toml": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/kring.toml", "--force"), 2, "use"),
    "scores into the state": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/.kring/o.csv"), 2, "use"),
    "scores into the data": (
        ("score", "DIR/feed.csv", "DIR", "--out", "DIR/.kring/data/o.parquet", "--force"),
        2,
        "use",
    ),
    "no score at the top": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/o.csv", "--top", "0"), 2, "use"),
    "keep what is not there": (("score", "DIR/feed.csv", "DIR", "--out", "DIR/o.csv", "--keep", "zon"), 2, "data"),
    "accept an unknown repair": (("clean", "DIR", "--accept", "r_1"), 2, "not_found"),
    "accept and ask": (("clean", "DIR", "--accept", "all", "--ask"), 2, "use"),
    "mend a database": (("clean", "DIR", "--source", "DIR/.kring/ledger.db"), 2, "data"),
    "difference of nothing": (("snapshot", "diff", "s_1", "latest", "DIR"), 2, "not_found"),
    "difference to none before": (("snapshot", "diff", "previous", "latest", "DIR"), 2, "not_found"),
    "difference of no name": (("snapshot", "diff", "", "latest", "DIR"), 2, "not_found"),
    "restore nothing": (("snapshot", "restore", "s_1", "DIR"), 2, "not_found"),
    "restore over the feed": (("snapshot", "restore", "latest", "DIR", "--out", "DIR/feed.csv"), 2, "data"),
    "restore over kring.toml": (("snapshot", "restore", "latest", "DIR", "--out", "DIR/kring.toml"), 2, "data"),
    "release the baseline": (("release", "DIR", "--candidate", "by-stops"), 2, "not_found"),
    "ask who answers in numbers": (("ask", "Will it be late?", "DIR"), 2, "unsupported"),
    "ask nothing": (("ask", "", "DIR"), 2, "use"),
    "a key without a role": (("key", "create", "DIR", "--name", "till 4"), 2, "use"),
    "a key for a role that is none": (("key", "create", "DIR", "--role", "boss", "--name", "till 4"), 2, "use"),
    "a key without a name": (("key", "create", "DIR", "--role", "caller", "--name", " "), 2, "use"),
    "a key that is over at once": (
        ("key", "create", "DIR", "--role", "caller", "--name", "till 4", "--expires", "0d"),
        2,
        "use",
    ),
    "a key for one system twice": (("key", "create", "DIR", "DIR", "--role", "caller", "--name", "till 4"), 2, "use"),
    "end a key that is none": (("key", "revoke", "aaaaaaaaaaaaaaaa", "DIR"), 2, "not_found"),
    "a system in a system": (("new", "DIR", "--from", "DIR/feed.csv", "--target", "late"), 2, "use"),
    "a system from itself": (("new", "DIR/n", "--from", "DIR/n", "--target", "late"), 2, "not_found"),
    "a system from the net": (("new", "DIR/n", "--from", "https://example.org/a.csv", "--target", "y"), 2, "not_found"),
    "a system for a moment": (("new", "DIR/n", "--from", "DIR/feed.csv", "--target", "ordered_at"), 2, "data"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told_and_changes_nothing(name: str, released: Path) -> None:
    words, exit, code = WRONG[name]
    before = contents(released)
    answer = kring(*(word.replace("DIR", str(released)) for word in words))
    assert (answer.exit, answer.error["code"]) == (exit, code), answer
    assert answer.error["next"] or answer.error["allowed"], answer
    after = contents(released)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= ({".kring/ledger.db"} if exit == 1 else set()), changed


@pytest.mark.parametrize("words", SYSTEM, ids=" ".join)
def test_a_folder_that_is_none(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    (tmp_path / "empty").mkdir()
    before = contents(tmp_path)
    for name in ("nowhere", "file", "empty", "file/below"):
        answer = kring(*words, tmp_path / name)
        assert answer.exit == 2, answer
        assert answer.error["code"] in ("not_found", "config", "data"), answer
        assert answer.error["next"] or answer.error["faults"][0]["allowed"], answer
    assert contents(tmp_path) == before


def test_a_folder_that_may_not_be_written(fresh: Path) -> None:
    """Where even root may not write: state would lie in a file."""
    (fresh / ".kring").write_text("in the way")
    for words in (("check",), ("status",), ("replay", "--from", "2024-02-15", "--to", "2024-02-16")):
        answer = kring(words[0], fresh, *words[1:])
        assert (answer.exit, answer.error["code"]) == (3, "storage"), answer
        assert answer.error["next"]

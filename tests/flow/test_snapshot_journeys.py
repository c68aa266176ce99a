"""`kring snapshot diff` and `restore`: an older state compared, made current again, given out, refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from systems import Told, contract, field, kring, write_prices

FIELDS = "\n".join(
    [
        field("demand", "number"),
        field("transfer", "number"),
        field("weekday", "integer"),
        field("class", "string", role="target"),
    ]
)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """Two snapshots, of which the second has one row more and one that differs."""
    folder = write_prices(tmp_path / "prices")
    assert kring("check", folder).code == 0
    feed = pl.read_csv(folder / "feed.csv")
    more = pl.concat([feed[1:], feed[:1].with_columns(demand=pl.lit(0.5)), feed[:1]])
    more.write_csv(folder / "feed.csv")
    assert kring("check", folder).code == 0
    return folder


def snapshots(folder: Path) -> list[dict]:
    found = kring("snapshot", "list", folder, "--json").json["snapshots"]
    assert isinstance(found, list)
    return found


def told(*words: object) -> Told:
    answer = kring(*words)
    assert answer.code == 0, answer.err
    return answer


def test_diff_in_text_and_json(system: Path) -> None:
    found = told("snapshot", "diff", "previous", "latest", system, "--json").json["diff"]
    assert (found["rows"], found["added"], found["removed"], found["changed"]) == ([1500, 1501], 1, 0, 0)
    text = told("snapshot", "diff", "previous", "latest", system).out
    assert "1 added, 0 removed" in text
    assert "demand" in text
    ids = [one["id"] for one in snapshots(system)]
    again = told("snapshot", "diff", ids[1], ids[0][:-1], system, "--json").json["diff"]
    assert (again["added"], again["removed"]) == (0, 1)


def test_restore_makes_the_old_data_current(system: Path) -> None:
    old = snapshots(system)[0]
    made = told("snapshot", "restore", "previous", system, "--json").json["snapshot"]
    assert made["id"] != old["id"]
    assert (made["digest"], made["restored"], made["rows"]) == (old["digest"], old["id"], old["rows"])
    assert [one["id"] for one in snapshots(system)][-1] == made["id"], "it is on the ledger"
    assert told("snapshot", "show", system, "--json").json["snapshot"]["id"] == made["id"]
    found = told("snapshot", "diff", old["id"], "latest", system, "--json").json["diff"]
    assert (found["added"], found["removed"]) == (0, 0)
    assert told("train", system, "--json").json["runs"][0]["run"]["snapshot"] == made["id"]
    again = told("snapshot", "restore", "latest", system, "--json").json["snapshot"]
    assert (again["delta_version"], again["restored"]) == (made["delta_version"], old["id"])
    assert told("check", system, "--json").json["snapshot"]["rows"] == 1501


def test_rows_are_written_out(system: Path, tmp_path: Path) -> None:
    for name in ("rows.csv", "rows.parquet"):
        told("snapshot", "restore", "previous", system, "--out", tmp_path / name)
    frames = pl.read_csv(tmp_path / "rows.csv"), pl.read_parquet(tmp_path / "rows.parquet")
    assert frames[0].height == frames[1].height == 1500
    assert frames[0]["class"].equals(frames[1]["class"])
    assert len(snapshots(system)) == 2


def part_of_first(system: Path) -> Path:
    """The file that only the first snapshot uses: the older one."""
    files = sorted((system / ".kring" / "data" / "prices").glob("part-*"), key=lambda file: file.stat().st_mtime_ns)
    return files[0]


def test_damaged_and_vacuumed_data_is_refused(system: Path, tmp_path: Path) -> None:
    part = part_of_first(system)
    whole = part.read_bytes()
    part.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    commands = [
        ("restore", "previous", system),
        ("restore", "previous", system, "--out", tmp_path / "x.csv"),
        ("diff", "previous", "latest", system),
    ]
    for damage in ("not what was taken", "is missing"):
        for words in commands:
            answer = kring("snapshot", *words, "--json")
            assert (answer.code, answer.json["error"]["code"]) == (3, "integrity"), answer
            assert damage in answer.json["error"]["message"]
        part.unlink(missing_ok=True)
    assert len(snapshots(system)) == 2
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("diff", "latest", "s_nothing"), "no such snapshot"),
        (("diff", "s_01", "latest"), "several"),
        (("diff", "", "latest"), "no such snapshot"),
        (("diff", "../x", "latest"), "no such snapshot"),
        (("restore", "s"), "no such snapshot"),
        (("restore", "latest", "--out", "x.xlsx"), "not written"),
        (("restore", "latest", "--out", "kring.toml"), "not written"),
        (("show", "latest", "previous"), "one snapshot"),
    ],
)
def test_wrong_names_change_nothing(system: Path, words: tuple[str, ...], told: str) -> None:
    before = len(snapshots(system))
    place = words.index("--out") if "--out" in words else len(words)
    prefix = snapshots(system)[0]["id"][:4]
    words = tuple(prefix if word == "s_01" else word for word in words)
    answer = kring("snapshot", *words[:place], system, *words[place:], "--json")
    assert answer.code == 2, answer
    assert told in answer.json["error"]["message"] or told in answer.err
    assert len(snapshots(system)) == before


def test_a_file_that_is_there_is_kept(system: Path) -> None:
    before = (system / "feed.csv").read_bytes()
    assert kring("snapshot", "restore", "latest", system, "--out", system / "feed.csv").code == 2
    assert (system / "feed.csv").read_bytes() == before


def test_a_state_that_lacks_what_is_promised_today_is_refused(system: Path) -> None:
    text = contract("prices", FIELDS + "\n" + field("new", "number", required=False))
    (system / "contract.odcs.yaml").write_text(text)
    answer = kring("snapshot", "restore", "previous", system, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "refused")
    assert "new" in answer.json["error"]["got"]


def test_a_state_that_holds_an_identifier_of_today_in_clear_is_refused(system: Path) -> None:
    fields = FIELDS.replace(field("weekday", "integer"), field("weekday", "integer", identifier="true"))
    (system / "contract.odcs.yaml").write_text(contract("prices", fields))
    answer = kring("snapshot", "restore", "previous", system, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "refused")
    assert answer.json["error"]["got"] == "weekday"
    assert len(snapshots(system)) == 2


def test_without_a_snapshot(tmp_path: Path) -> None:
    folder = write_prices(tmp_path / "prices")
    for words in (("diff", "previous", "latest"), ("restore", "latest")):
        answer = kring("snapshot", *words, folder, "--json")
        assert (answer.code, answer.json["error"]["code"]) == (2, "not_found")
    assert kring("check", folder).code == 0
    answer = kring("snapshot", "diff", "previous", "latest", folder, "--json")
    assert (answer.code, answer.json["error"]["message"]) == (2, "there is one snapshot, and none before it")

"""Decisions on record explained by the version that answered them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl
import pytest

from fruit import fruit_feed, write_fruit
from kring.errors import Conflict, IntegrityError, MissingExtra, NotFound, UserError
from kring.flow import adapters, explaining
from kring.flow.deciding import Opened, open_answerers, open_decider
from kring.flow.explaining import Kept, explain
from kring.flow.project import Project, open_project
from kring.flow.scoring.score import live_pointer, open_all
from kring.metrics.ids import decision_bytes, decision_id
from kring.record.background import Background
from kring.record.batch import Batch
from kring.record.decision import Decisions
from kring.release.load import open_version
from kring.serve.decider import Decider
from systems import Told, day, kring, loans_feed, parcels_feed, write_loans, write_parcels

POLICY = """[policy]
abstain = "probability > 0.45 and probability < 0.55"

[[policy.rule]]
when = "amount > 900 and region == 'north'"
decision = false
reason = "no large loans in the north"

[guard]
outliers = "flag\""""


def write_described(folder: Path) -> Path:
    """Loans with words for a field, a personal field, a policy of more than a threshold, and values to impute."""
    write_loans(folder, feed=loans_feed(1500), out_of_contract="impute")
    config = folder / "kring.toml"
    config.write_text(config.read_text().replace("[guard]", POLICY))
    promise = folder / "contract.odcs.yaml"
    text = promise.read_text().replace(
        "      - name: amount\n", "      - name: amount\n        businessName: the sum asked for\n"
    )
    personal = "        customProperties:\n          - property: kring.personal\n            value: true\n"
    text = text.replace(
        "      - name: income\n        logicalType: number\n",
        f"      - name: income\n        logicalType: number\n{personal}",
    )
    promise.write_text(text)
    return folder


def scored(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """The answers to some rows, which are on record."""
    rows.write_parquet(folder / "asked.parquet")
    told = kring("score", folder / "asked.parquet", folder, "--out", folder / "said.parquet", "--force")
    assert told.code == 0, told.err
    return pl.read_parquet(folder / "said.parquet")


def asked(n: int = 60) -> pl.DataFrame:
    """Requests; the first breaks a limit."""
    frame = loans_feed(1500).drop("repaid", "settled_at").tail(n)
    broken = pl.when(pl.int_range(pl.len()) == 0).then(-5.0).otherwise("amount")
    return frame.with_columns(amount=broken)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    folder = write_described(tmp_path_factory.mktemp("explained") / "loans")
    told = kring("go", folder)
    assert told.code == 0, told.err
    return folder, scored(folder, asked())


@pytest.fixture
def loans(made: tuple[Path, pl.DataFrame], tmp_path: Path) -> tuple[Project, pl.DataFrame]:
    """A copy that a test may break, and its answers."""
    folder = Path(shutil.copytree(made[0], tmp_path / "loans"))
    return open_project(folder), made[1]


def recorded(project: Project, record: Decisions) -> str:
    """The id of the first row of a record that is put into the log."""
    log = adapters.open_log(project.home.log, files=project.files, system=project.system.name)
    try:
        place = log.append(record)
        log.commit()
    finally:
        log.close()
    return decision_id(decision_bytes(place))


def decider_of(project: Project) -> Decider[pl.DataFrame]:
    pointer = live_pointer(project)
    return open_decider(project, pointer, open_all(project, pointer), clock=project.clock)


def test_the_effects_add_up_to_the_answer_on_record(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    for row in said.head(5).iter_rows(named=True):
        found = explain(project, row["decision_id"])
        assert (found.decision, found.answered_by) == (row["decision_id"], row["version"])
        assert found.value == pytest.approx(row["probability"], abs=1e-6)
        assert sum(one.effect for one in found.contributions) == pytest.approx(found.value - found.base, abs=1e-9)
        assert found.exact
        assert [abs(one.effect) for one in found.contributions] == sorted(
            (abs(one.effect) for one in found.contributions), reverse=True
        )


def test_reasons_are_in_the_words_of_the_contract(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    reasons = " | ".join(explain(project, said["decision_id"][3]).reasons)
    assert "the sum asked for, " in reasons
    assert "the probability of true by " in reasons
    assert "raises" in reasons or "lowers" in reasons
    words = {one.column: one.words for one in explain(project, said["decision_id"][3]).contributions}
    assert words["region_rate"] == "region rate (from region)"


def test_no_personal_value_is_kept_or_told(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    found = explain(project, said["decision_id"][3])
    assert found.held == ("income",)
    assert "income" not in {one.column for one in found.contributions}
    public = project.files.read(project.home.public_key)
    files = open_version(project.home.versions / found.version, public_pem=public).files
    for name in ("background.json", "baseline/background.json"):
        background = msgspec.json.decode(files[name], type=Background)
        assert "income" not in background.columns
        assert background.n == 100
    assert b"income" not in files["outliers.json"]
    assert msgspec.json.decode(files["background.json"], type=Background).withheld == ("income",)


def test_what_decided_beside_the_model_comes_first(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    ruled = said.filter(pl.col("reason").is_not_null())
    unsure = said.filter(pl.col("guards").str.contains("abstained") & pl.col("reason").is_null())
    assert ruled.height
    assert unsure.height
    assert set(ruled["decision"]) == {"false"}
    assert (
        explain(project, ruled["decision_id"][0]).reasons[0] == "a business rule decided: no large loans in the north"
    )
    assert set(unsure["decision"]) == {"review"}
    assert explain(project, unsure["decision_id"][0]).reasons[0].startswith("the system abstained: probability > 0.45")


def test_an_imputed_row_is_explained_as_it_was_decided(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    assert said["guards"][0].startswith("amount.range, imputed")
    found = explain(project, said["decision_id"][0])
    assert found.value == pytest.approx(said["probability"][0], abs=1e-6)
    assert next(one for one in found.contributions if one.column == "amount").value is None


def test_an_explanation_is_found_once_and_checked(
    loans: tuple[Project, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, said = loans
    id = said["decision_id"][4]
    first = explain(project, id)
    place = project.home.explanations / f"{id}.shap.json"
    whole = place.read_bytes()
    opened: list[str] = []

    def open_and_tell(project: Project, version: str) -> Opened:
        opened.append(version)
        return open_answerers(project, version)

    monkeypatch.setattr(explaining, "open_answerers", open_and_tell)
    assert explain(project, id) == first
    assert opened == [], "what was kept is not found out again"
    kept = msgspec.json.decode(whole, type=Kept)
    turned = msgspec.structs.replace(kept.explanation, value=0.99)
    for bad in (
        b"",
        b"{}",
        whole[:-9],
        b"\xff" * 20,
        msgspec.json.encode(msgspec.structs.replace(kept, explanation=turned)),
        msgspec.json.encode(explaining.sealed(kept.explanation, "0" * 64)),
    ):
        place.write_bytes(bad)
        assert explain(project, id) == first
        assert place.read_bytes() == whole, "what was tampered with is replaced"
    assert len(opened) == 6


def test_the_baseline_explains_what_it_answered(loans: tuple[Project, pl.DataFrame]) -> None:
    project, _ = loans
    decider = replace(decider_of(project), versions={})
    frame = asked(2).with_columns(pl.col("asked_at").to_physical())
    batch = Batch(2, {name: frame[name] for name in frame.columns})
    (decided,) = decider.decide(batch, at=day(70), kind="batch")
    assert decided.about.answered_by.endswith("/baseline")
    found = explain(project, recorded(project, decided.record))
    assert found.answered_by == decided.about.answered_by
    assert [one.column for one in found.contributions] == ["region_rate"]


@pytest.mark.parametrize(
    ("answered_by", "words"),
    [
        ("default", "the declared default was given: everything"),
        ("rejected", "breaks the contract: a.b"),
        ("nobody", "nobody could"),
    ],
)
def test_where_no_model_answered_that_is_the_reason(
    loans: tuple[Project, pl.DataFrame], answered_by: str, words: str
) -> None:
    project, said = loans
    record = bare(said, answered_by=answered_by, fallback="everything is broken")
    found = explain(project, recorded(project, msgspec.structs.replace(record, guards={0: ["a.b"]})))
    assert found.method == "none"
    assert found.contributions == ()
    assert words in found.reasons[0]


def bare(said: pl.DataFrame, **more: object) -> Decisions:
    record = Decisions(
        system="loans",
        version=said["version"][0],
        answered_by=said["version"][0],
        arm="live",
        kind="batch",
        at=day(70),
        n=1,
        inputs={"region": ["north"], "amount": [10.0], "income": [50.0], "email": ["token"]},
        outputs={"decision": ["false"], "probability": [0.25]},
        latency_us=1,
    )
    return msgspec.structs.replace(record, **more)


def test_another_answer_than_the_one_on_record_is_not_explained(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    with pytest.raises(Conflict, match="another answer than the one on record"):
        explain(project, recorded(project, bare(said)))


def test_of_a_person_who_was_forgotten_nothing_new_is_found(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    mine = said.with_row_index().filter(pl.col("income").is_not_null() & pl.col("reason").is_null()).tail(2)
    told = explain(project, mine["decision_id"][0])
    for email in mine["email"].to_list():
        assert kring("forget", email, project.folder).code == 0
    assert explain(project, mine["decision_id"][0]) == told, "what was kept holds nothing personal"
    with pytest.raises(Conflict) as caught:
        explain(project, mine["decision_id"][1])
    assert "erased" in caught.value.next


def test_a_shadow_is_explained_by_the_decision_it_shadowed(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    shadow = bare(said, kind="shadow", arm="shadow", inputs={}, refers=[bytes(16)])
    with pytest.raises(UserError, match="in shadow"):
        explain(project, recorded(project, shadow))


def test_a_version_without_background_says_how_to_get_one(
    loans: tuple[Project, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, said = loans

    def old(project: Project, version: str) -> Opened:
        opened = open_answerers(project, version)
        files: Mapping[str, bytes] = {
            name: data for name, data in opened.loaded.files.items() if "background" not in name
        }
        return replace(opened, loaded=replace(opened.loaded, files=files))

    monkeypatch.setattr(explaining, "open_answerers", old)
    with pytest.raises(NotFound) as caught:
        explain(project, said["decision_id"][5])
    assert "kring go" in caught.value.next


def test_a_damaged_version_explains_nothing(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    path = project.home.versions / said["version"][0] / "background.json"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"north", b"south"))
    with pytest.raises(IntegrityError):
        explain(project, said["decision_id"][5])


def test_lime_without_its_package_names_the_extra(
    loans: tuple[Project, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, said = loans

    def gone(name: str):
        raise ModuleNotFoundError("No module named 'lime'", name="lime")

    monkeypatch.setattr(adapters.importlib, "import_module", gone)
    with pytest.raises(MissingExtra) as caught:
        explain(project, said["decision_id"][5], method="lime")
    assert caught.value.next == "pip install 'kring[explain]'"


def test_both_methods_are_kept_side_by_side(loans: tuple[Project, pl.DataFrame]) -> None:
    project, said = loans
    id = said["decision_id"][6]
    shap, lime = explain(project, id), explain(project, id, method="lime")
    assert (shap.method, lime.method) == ("shap", "lime")
    assert lime.fit is not None
    assert lime.base == pytest.approx(shap.base)
    assert sorted(path.name for path in project.home.explanations.glob(f"{id}*")) == [
        f"{id}.lime.json",
        f"{id}.shap.json",
    ]


def test_a_value_and_several_labels_are_explained_too(tmp_path: Path) -> None:
    parcels = write_parcels(tmp_path / "parcels")
    assert kring("go", parcels).code == 0
    said = scored(parcels, parcels_feed().drop("minutes").tail(5))
    found = explain(open_project(parcels), said["decision_id"][0])
    assert (found.output, found.value) == ("the value", pytest.approx(said["value"][0]))
    fruit = write_fruit(tmp_path / "fruit")
    assert kring("go", fruit).code == 0
    said = scored(fruit, fruit_feed().drop("kind").tail(5))
    found = explain(open_project(fruit), said["decision_id"][0])
    decided = said["decision"][0]
    assert found.output == f"the probability of {decided}"
    assert found.value == pytest.approx(said[f"probability.{decided}"][0], abs=1e-6)
    assert sum(one.effect for one in found.contributions) == pytest.approx(found.value - found.base, abs=1e-9)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("d_00000000000000000000000000",), 2, ""),
        (("d_!!",), 2, "not an id"),
        (("v_0",), 2, ""),
        (("",), 2, ""),
        (("x" * 5000,), 2, ""),
        (("d_0", "--method", "tree"), 2, "tree"),
        ((), 2, "ID"),
    ],
)
def test_wrong_ids_and_methods_are_told(
    made: tuple[Path, pl.DataFrame], words: tuple[str, ...], code: int, told: str
) -> None:
    before = sorted(path for path in made[0].rglob("*") if path.is_file())
    found = kring("explain", *words[:1], *([made[0]] if words else []), *words[1:], "--json")
    assert found.code == code
    assert told in json.dumps(found.json["error"])
    assert sorted(path for path in made[0].rglob("*") if path.is_file()) == before


def test_the_command_tells_people_and_programs(loans: tuple[Project, pl.DataFrame], tmp_path: Path) -> None:
    project, said = loans
    told: Told = kring("explain", said["decision_id"][3], project.folder)
    assert told.code == 0, told.err
    assert "Shapley values, exact" in told.out
    assert "kept as they are: income" in told.out
    found = kring("explain", said["decision_id"][3], project.folder, "--json").json
    assert found["method"] == "shap"
    assert found["contributions"][0]["fields"]
    nowhere = kring("explain", said["decision_id"][3], tmp_path / "nowhere", "--json")
    assert nowhere.code == 2
    elsewhere = kring("explain", said["decision_id"][3], project.folder, "--home", tmp_path / "empty", "--json")
    assert elsewhere.code == 2

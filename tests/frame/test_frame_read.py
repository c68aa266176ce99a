from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kring.errors import ConfigError, DataError, NotFound
from kring.frame.read import read, read_with_lines
from kring.record.access import AccessPolicy, Oidc, Rate
from kring.record.prepare import LookupSpec
from kring.record.running import Learn, RolloutPlan, Watch
from kring.record.system import Candidate, Data, Frame, Gate, Govern, Guard, Person, PolicyPlan, Split, System
from kring.record.verdict import GateLine
from kring.record.version import Ruling

SAMPLES = Path(__file__).parent / "samples"
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def test_every_key_reaches_the_record():
    file = SAMPLES / "full.toml"
    assert read(file) == System(
        name="full",
        goal="Say which deliveries come late",
        task="classification",
        owner="Logistics",
        affects=("customers", "drivers"),
        human_oversight="a dispatcher may overrule every answer",
        people={
            "frame": Person(accountable="Head of Logistics"),
            "data": Person(accountable="Data Team", responsible="engineer on duty"),
            "experiment": Person(accountable="Lead Scientist"),
            "release": Person(accountable="Head of Operations", responsible="release engineer"),
        },
        frame=Frame(
            decision="call the customer, or not",
            good_enough="better than the rule of thumb",
            cost={"false_positive": 4.0, "false_negative": 25.5},
            currency="EUR",
            default=False,
            feedback="none",
        ),
        data=Data(
            source="feed/*.parquet",
            contract="contract.odcs.yaml",
            target="late",
            positive="yes",
            time="ordered_at",
            subject="customer",
            protected=("district", "age_group"),
            group="driver",
            outcome_at="arrived_at",
            window_us=120 * DAY,
            split=Split(by="time", test_us=28 * DAY),
        ),
        prepare={
            "district": "district",
            "heavy": "weight > 20",
            "late_there": 'lookup("by_district", key = [district])',
        },
        lookups=(LookupSpec(name="by_district", key=("district",), value="late", prior=50),),
        candidates=(
            Candidate(name="thumb", baseline=True, rule="heavy"),
            Candidate(
                name="linear",
                builtin="linear",
                params={"strength": 0.5, "balanced": True},
                columns=("district", "heavy"),
            ),
            Candidate(
                name="own_forest",
                fit="models.py:forest",
                params={"trees": 40},
                timeout_us=90 * SECOND,
                memory_mb=512,
            ),
        ),
        gate=Gate(
            min_rows=500,
            lines=(
                GateLine(metric="lift_over_baseline.roc_auc", op=">", limit=0.0),
                GateLine(metric="calibration_error", op="<=", limit=0.05),
                GateLine(metric="fairness.*", op="<=", limit=0.1),
            ),
        ),
        rollout=RolloutPlan(shadow_us=36 * HOUR, bake_us=0),
        policy=PolicyPlan(
            rules=(Ruling(when="weight > 1000", decision="review", reason="too heavy to say"),),
            abstain="probability > 0.4 and probability < 0.6",
        ),
        guard=Guard(out_of_contract="reject"),
        watch=Watch(window_us=DAY, maturity_us=2 * DAY, quality_us=30 * DAY, min_windows=10, violations=0.02),
        learn=Learn(retrain_on=("quality", "schedule"), every_us=30 * DAY, cooldown_us=7 * DAY),
        govern=Govern(role="provider", risk="limited", retention_us=180 * DAY),
        access=AccessPolicy(
            oidc=Oidc(
                issuer="https://login.example.org/main",
                audience="deliveries",
                jwks="jwks.json",
                claim="groups",
                roles={"drivers": "caller", "logistics it": "admin"},
                max_age_us=2 * DAY,
            ),
            per_key=Rate(per_second=50, at_once=8),
            per_system=Rate(per_second=400.5, at_once=64),
        ),
        file=str(file),
        digest=hashlib.sha256(file.read_bytes()).hexdigest(),
    )


def test_what_is_left_out_has_the_records_defaults():
    system = read(SAMPLES / "small.toml")
    assert system == System(
        name="small",
        goal="Say whether it will rain",
        task="classification",
        owner="Weather Desk",
        frame=Frame(decision="take an umbrella"),
        data=Data(source="feed.csv", contract="contract.odcs.yaml", target="rain", outcome_after_us=DAY),
        candidates=(Candidate(name="yesterday", baseline=True, builtin="prior"),),
        file=system.file,
        digest=system.digest,
    )


def test_a_folder_stands_for_its_file(tmp_path):
    text = (SAMPLES / "small.toml").read_bytes()
    (tmp_path / "kring.toml").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert read(tmp_path).name == "small"
    assert read(tmp_path) == read(tmp_path / "kring.toml")
    (tmp_path / "kring.toml").write_bytes(text)
    assert read(tmp_path).digest == hashlib.sha256(text).hexdigest()


def test_lines_come_with_the_system():
    system, lines = read_with_lines(SAMPLES / "full.toml")
    assert system.name == "full"
    assert lines["data.target"] == 29
    assert lines["data.protected[1]"] == 33
    assert lines["frame.cost.currency"] == 22
    assert lines["people.release.responsible"] == 17
    assert lines["candidate[1].columns[1]"] == 60
    assert lines["candidate[2].params.trees"] == 70
    assert lines['gate."fairness.*"'] == 76


def test_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "kring.toml", tmp_path / "no" / "such" / "folder", Path("a\0b")):
        with pytest.raises(NotFound) as caught:
            read(path)
        assert "kring new DIR --from" in caught.value.next


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"", 0, "empty"),
        (b" \n\t\n", 0, "empty"),
        (b"\x00\x01\x02", 0, "not a text"),
        (b'[system]\nname = "caf\xe9"\n', 2, "UTF-8"),
        ('[system]\nname = "small"\n'.encode("utf-16"), 0, "UTF-8"),
        (b"#" * (1 << 20) + b"#", 0, "too large"),
    ],
)
def test_bytes_that_are_no_text(tmp_path, data, line, message):
    (tmp_path / "kring.toml").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert caught.value.line == line
    assert caught.value.file == str(tmp_path / "kring.toml")


def test_things_that_are_no_file(tmp_path):
    (tmp_path / "kring.toml").mkdir()
    with pytest.raises(DataError, match="not a file"):
        read(tmp_path)
    with pytest.raises(DataError, match="not a file"):
        read(Path("/dev/null"))
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    with pytest.raises((NotFound, DataError)):
        read(loop)
    with pytest.raises(DataError, match="can't be read"):
        read(tmp_path / ("x" * 5000))


def test_all_faults_at_once_in_order(tmp_path):
    text = (SAMPLES / "small.toml").read_text()
    text = text.replace('owner = "Weather Desk"', "ownr = 3").replace("true", '"true"') + "\n[gaet]\nroc = 1\n"
    (tmp_path / "kring.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    error = caught.value
    assert error.message == "4 faults in kring.toml"
    assert [(fault.line, fault.key, fault.next) for fault in error.faults] == [
        (1, "system.owner", "add owner"),
        (5, "system.ownr", "did you mean `owner`?"),
        (18, "candidate[0].baseline", "write true without quotes"),
        (21, "gaet", "did you mean `gate`?"),
    ]
    assert all(fault.file == str(tmp_path / "kring.toml") for fault in error.faults)
    assert str(error).count("kring.toml:") == 5


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a = " * 100_000,
        ".".join(["a"] * 100_000) + " = 1",
        "[" + ".".join(["a"] * 100_000) + "]",
        "[prepare]\na = '" + "(" * 100_000 + "'",
        "= = =\n" * 50_000,
    ],
)
def test_monstrous_files_are_refused_quickly(tmp_path, text):
    (tmp_path / "kring.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    assert caught.value.faults

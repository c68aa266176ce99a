"""One table of everything that can be wrong in a `kring.toml`: the edit, and the faults it must give."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kring.errors import ConfigError, DataError, NotFound
from kring.frame.read import read
from kring.frame.schema import schema
from kring.record.system import System

SAMPLES = Path(__file__).parent / "samples"
SCHEMA = Draft202012Validator(schema())
FULL = (SAMPLES / "full.toml").read_text()

SEEN_BY_SCHEMA = [
    # wrong types
    ('owner = "Logistics"', "owner = 3", [(6, "system.owner", 'write "3" in quotes')]),
    ('affects = ["customers", "drivers"]', 'affects = "all"', [(7, "system.affects", 'write ["all"] in brackets')]),
    ('affects = ["customers", "drivers"]', 'affects = ["a", 2]', [(7, "system.affects[1]", 'write "2" in quotes')]),
    ("baseline = true", "baseline = 1", [(51, "candidate[0].baseline", "")]),
    ("min_rows = 500", 'min_rows = "500"', [(73, "gate.min_rows", "write 500 without quotes")]),
    ("min_rows = 500", "min_rows = 5.5", [(73, "gate.min_rows", "")]),
    ("violations = 0.02", "violations = 1979-05-27", [(91, "watch.violations", "")]),
    ('shadow = "36h"', "shadow = 36", [(79, "rollout.shadow", "")]),
    (
        'retrain_on = ["quality", "schedule"]',
        'retrain_on = "quality"',
        [(94, "learn.retrain_on", 'write ["quality"] in brackets')],
    ),
    ("default = false", "default = []", [(23, "frame.default", "")]),
    ("prior = 50", "prior = true", [(42, "lookup.by_district.prior", "")]),
    (
        "false_negative = 25.5",
        'false_negative = "25.5"',
        [(22, "frame.cost.false_negative", "write 25.5 without quotes")],
    ),
    ('rule = "heavy"', "rule = {}", [(52, "candidate[0].rule", "")]),
    ('frame = { accountable = "Head of Logistics" }', 'frame = "Head"', [(11, "people.frame", "")]),
    ("trees = 40", "trees = [40]", [(70, "candidate[2].params.trees", "")]),
    # wrong values
    ('name = "full"', 'name = "Full System"', [(3, "system.name", "")]),
    ('name = "full"', 'name = "9lives"', [(3, "system.name", "")]),
    ('name = "full"', f'name = "{"x" * 64}"', [(3, "system.name", "")]),
    ('owner = "Logistics"', 'owner = "  "', [(6, "system.owner", "")]),
    ('task = "classification"', 'task = "Classification!"', [(5, "system.task", "")]),
    ('shadow = "36h"', 'shadow = "36 hours"', [(79, "rollout.shadow", "")]),
    ('shadow = "36h"', 'shadow = "-1d"', [(79, "rollout.shadow", "")]),
    ('timeout = "90s"', 'timeout = "0s"', [(66, "candidate[2].timeout", "")]),
    ('window = "120d"', 'window = "4 months"', [(36, "data.window", "")]),
    ('test = "4w"', "test = 1.5", [(37, "data.split.test", "")]),
    ('test = "4w"', 'test = "a quarter"', [(37, "data.split.test", "")]),
    ('by = "time"', 'by = "tiem"', [(37, "data.split.by", "did you mean `time`?")]),
    ('feedback = "none"', 'feedback = "non"', [(24, "frame.feedback", "did you mean `none`?")]),
    ('builtin = "linear"', 'builtin = "boostd"', [(56, "candidate[1].builtin", "did you mean `boosted`?")]),
    (
        'out_of_contract = "reject"',
        'out_of_contract = "inpute"',
        [(84, "guard.out_of_contract", "did you mean `impute`?")],
    ),
    ('abstain = "probability >', "abstain = 3 # ", [(109, "policy.abstain", 'write "3" in quotes')]),
    ('when = "weight > 1000"', "", [(111, "policy.rule[0].when", "add when")]),
    ('decision = "review"', 'decision = ["review"]', [(113, "policy.rule[0].decision", "")]),
    ('role = "provider"', 'role = "importer"', [(99, "govern.role", "")]),
    ('"quality", "schedule"', '"quality", "scedule"', [(94, "learn.retrain_on[1]", "did you mean `schedule`?")]),
    ('"quality", "schedule"', '"quality", "quality"', [(94, "learn.retrain_on[1]", "remove one of the two")]),
    ("violations = 0.02", "violations = 5", [(91, "watch.violations", "")]),
    ("min_windows = 10", "min_windows = 0", [(90, "watch.min_windows", "")]),
    ("memory_mb = 512", "memory_mb = 1", [(67, "candidate[2].memory_mb", "")]),
    ("prior = 50", "prior = -1", [(42, "lookup.by_district.prior", "")]),
    ("false_positive = 4,", "false_positive = -4,", [(22, "frame.cost.false_positive", "")]),
    ('key = ["district"]', "key = []", [(40, "lookup.by_district.key", "")]),
    ('calibration_error = "<= 0.05"', 'calibration_error = "< = 0.05"', [(75, "gate.calibration_error", "")]),
    ('calibration_error = "<= 0.05"', "calibration_error = 0.05", [(75, "gate.calibration_error", "")]),
    ('heavy = "weight > 20"', 'is-heavy = "weight > 20"', [(46, "prepare.is-heavy", "")]),
    (
        "[lookup.by_district]",
        '[lookup."by district"]',
        [(39, 'lookup."by district"', None), (47, "prepare.late_there", None)],
    ),
    ('fit = "models.py:forest"', 'fit = "models.forest"', [(65, "candidate[2].fit", "")]),
    ('"https://login.example.org/main"', '"http://login.example.org"', [(104, "access.oidc.issuer", "")]),
    ('"https://login.example.org/main"', '"https://a@b.example.org"', [(104, "access.oidc.issuer", "")]),
    ('drivers = "caller"', 'drivers = "callr"', [(104, "access.oidc.roles.drivers", "did you mean `caller`?")]),
    ('{ drivers = "caller", "logistics it" = "admin" }', "{}", [(104, "access.oidc.roles", None)]),
    ('max_age = "2d"', 'max_age = "0d"', [(104, "access.oidc.max_age", "")]),
    ('audience = "deliveries"', 'audience = ["deliveries"]', [(104, "access.oidc.audience", "")]),
    ("per_second = 50", "per_second = 0", [(105, "access.per_key.per_second", "")]),
    ("per_second = 50", 'per_second = "50"', [(105, "access.per_key.per_second", "write 50 without quotes")]),
    ("at_once = 8", "at_once = 2.5", [(105, "access.per_key.at_once", "")]),
    ("at_once = 64", "at_once = -1", [(106, "access.per_system.at_once", "")]),
    # unknown and missing
    ("per_system = {", "per_sistem = {", [(106, "access.per_sistem", "did you mean `per_system`?")]),
    ('jwks = "jwks.json", ', "", [(104, "access.oidc.jwks", "add jwks")]),
    ('claim = "groups"', 'clam = "groups"', [(104, "access.oidc.claim", None), (104, "access.oidc.clam", None)]),
    (
        'owner = "Logistics"',
        'ownr = "Logistics"',
        [(2, "system.owner", "add owner"), (6, "system.ownr", "did you mean `owner`?")],
    ),
    ("[rollout]", "[rolout]", [(78, "rolout", "did you mean `rollout`?")]),
    ("[govern]", "[insurance]", [(98, "insurance", "remove it")]),
    ('group = "driver"', 'shadow = "1d"', [(34, "data.shadow", "`shadow` belongs in [rollout]")]),
    ("experiment = {", "experimant = {", [(13, "people.experimant", "did you mean `experiment`?")]),
    ('responsible = "release engineer"', 'consulted = "all"', [(17, "people.release.consulted", "remove it")]),
    ('target = "late"\n', "", [(26, "data.target", "add target")]),
    ('accountable = "Head of Operations"\n', "", [(15, "people.release.accountable", "add accountable")]),
    ('builtin = "linear"', 'buildin = "linear"', [(56, "candidate[1].buildin", "did you mean `builtin`?")]),
    ('outcome_at = "arrived_at"', 'outcome_a = "arrived_at"', [(35, "data.outcome_a", "did you mean `outcome_at`?")]),
    (
        '[[candidate]]\nname = "thumb"',
        '[[candidat]]\nname = "thumb"',
        [(49, "candidat", "did you mean `candidate`?"), (54, "candidate", None)],
    ),
    # between keys, as far as a schema sees
    ("baseline = true", "baseline = false", [(49, "candidate", None)]),
    (
        'builtin = "linear"',
        'builtin = "linear"\nbaseline = true',
        [(57, "candidate[1].baseline", "the first stands in line 51; remove one of the two")],
    ),
    ('rule = "heavy"\n', "", [(49, "candidate[0]", 'add rule = "…", fit = "models.py:name" or builtin = "linear"')]),
    ('rule = "heavy"', 'rule = "heavy"\nbuiltin = "prior"', [(49, "candidate[0]", "make them two candidates")]),
    ('outcome_at = "arrived_at"', "", [(26, "data", None)]),
    ('group = "driver"', 'outcome_after = "2h"', [(34, "data.outcome_after", None)]),
    ("steps = []", 'steps = [5, 20, "all"]', [(80, "rollout.steps[2]", "")]),
    (
        "steps = []",
        "steps = [\n  0,\n  101]",
        [(81, "rollout.steps[0]", ""), (82, "rollout.steps[1]", "")],
    ),
]

SEEN_BY_READER = [
    ("steps = []", "steps = [20, 5]", [(80, "rollout.steps", "write steps = [5, 20]")]),
    ('abstain = "probability >', 'abstain = "probability >>', [(109, "policy.abstain", None)]),
    ('when = "weight > 1000"', 'when = "weight >"', [(112, "policy.rule[0].when", None)]),
    ('name = "linear"', 'name = "thumb"', [(55, "candidate[1].name", "the other stands in line 50")]),
    (
        'fit = "models.py:forest"',
        'fit = "/etc/models.py:forest"',
        [(65, "candidate[2].fit", "copy it into the folder")],
    ),
    (
        'fit = "models.py:forest"',
        'fit = "../samples/models.py:forest"',
        [(65, "candidate[2].fit", "copy it into the folder")],
    ),
    ('fit = "models.py:forest"', 'fit = "model.py:forest"', [(65, "candidate[2].fit", "did you mean `models.py`?")]),
    ('fit = "models.py:forest"', f'fit = "{"x" * 3000}.py:forest"', [(65, "candidate[2].fit", "write the file")]),
    ('rule = "heavy"', 'rule = "heavy"\nparams = { a = 1 }', [(53, "candidate[0].params", None)]),
    ('by = "time"', 'by = "order"', [(37, "data.split.test", None)]),
    (
        'by = "time", test = "4w"',
        'by = "random"',
        [(37, "data.split.by", 'hold out by = "time", or remove the lookups')],
    ),
    (
        'by = "time", test = "4w"',
        'by = "group"',
        [(37, "data.split.by", 'hold out by = "time", or remove the lookups')],
    ),
    ('heavy = "weight > 20"', 'heavy = "weight >"', [(46, "prepare.heavy", None)]),
    ('heavy = "weight > 20"', "heavy = \"__import__('os')\"", [(46, "prepare.heavy", None)]),
    ('rule = "heavy"', 'rule = "heavy if x else y"', [(52, "candidate[0].rule", None)]),
    (
        'lookup("by_district"',
        'lookup("by_distrikt"',
        [(47, "prepare.late_there", "did you mean `by_district`?")],
    ),
    ("late_there = 'lookup(\"by_district\", key = [district])'", "", [(39, "lookup.by_district", None)]),
    ('"fairness.*"', '"fair*ness"', [(76, 'gate."fair*ness"', None)]),
    ('"<= 1e-1"', '"<= 1e999"', [(76, 'gate."fairness.*"', None)]),
    (
        '"lift_over_baseline.roc_auc"',
        "lift_over_baseline.roc_auc",
        [(74, "gate.lift_over_baseline", 'put the whole name in quotes: "lift_over_baseline.roc_auc"')],
    ),
    ("min_rows = 500", "Min-Rows = 500", [(73, "gate.Min-Rows", "did you mean `min_rows`?")]),
    ('quality_over = "30d"', 'quality_over = "9d"', [(89, "watch.quality_over", None)]),
    ('shadow = "36h"', 'shadow = "9999999999w"', [(79, "rollout.shadow", "")]),
    ('name = "full"', 'name = "full\\n"', [(3, "system.name", "")]),
    ('goal = "Say', 'goal = "Say\\u0000', [(4, "system.goal", "")]),
    ("prior = 50", "prior = inf", [(42, "lookup.by_district.prior", "")]),
    ("prior = 50", "prior = nan", [(42, "lookup.by_district.prior", "")]),
    ("trees = 40", f"trees = 0x{'f' * 5000}", [(70, "candidate[2].params.trees", "")]),
    ("default = false", "default = 9223372036854775808", [(23, "frame.default", "")]),
    # not TOML
    ("[prepare]", "[prepare", [(44, "", None)]),
    ("prior = 50", "prior = = 50", [(42, "", None)]),
    ("prior = 50", "prior = fifty", [(42, "", None)]),
    ("prior = 50", f"prior = {'5' * 5000}", [(114, "", None)]),
    ('retention = "180d"', 'retention = "180d', [(101, "", None)]),
    ('owner = "Logistics"', 'owner = "Logistics"\nowner = "Sales"', [(7, "system.owner", "remove one of the two")]),
    ("[guard]", "[rollout]", [(83, "rollout", "remove one of the two")]),
    (
        'feedback = "none"',
        'feedback = "none"\ncost = {}\ndecision = ""',
        [(25, "frame.cost", None), (26, "frame.decision", None)],
    ),
    ('currency = "EUR"', 'currency = "EUR", currency = "USD"', [(22, "frame.cost.currency", "remove one of the two")]),
    (
        '[[candidate]]\nname = "own',
        '[candidate]\nname = "own',
        [(63, "candidate", "write [[candidate]] in double brackets")],
    ),
    ("default = false", f"default = {'[' * 5000}", [(1, "", None)]),
]


def edited(folder: Path, old: str, new: str) -> Path:
    assert FULL.count(old) >= 1, old
    file = folder / "kring.toml"
    file.write_text(FULL.replace(old, new, 1))
    (folder / "models.py").write_text("")
    return file


@pytest.mark.parametrize(("old", "new", "expected"), SEEN_BY_SCHEMA + SEEN_BY_READER)
def test_every_fault_has_its_line_key_and_remedy(tmp_path, old, new, expected):
    with pytest.raises(ConfigError) as caught:
        read(edited(tmp_path, old, new))
    faults = caught.value.faults
    assert [(fault.line, fault.key) for fault in faults] == [(line, key) for line, key, _ in expected], str(
        caught.value
    )
    for fault, (_, _, next) in zip(faults, expected, strict=True):
        assert next is None or fault.next == next
        assert fault.message
        assert fault.allowed or fault.next
        assert len(fault.got) < 200


@pytest.mark.parametrize(("old", "new", "expected"), SEEN_BY_SCHEMA)
def test_the_schema_sees_it_too(tmp_path, old, new, expected):
    document = tomllib.loads(edited(tmp_path, old, new).read_text())
    assert not SCHEMA.is_valid(document)


def test_a_link_out_of_the_folder_is_outside(tmp_path):
    folder = tmp_path / "system"
    folder.mkdir()
    (tmp_path / "models.py").write_text("")
    file = edited(folder, 'name = "full"', 'name = "full"')
    (folder / "models.py").unlink()
    (folder / "models.py").symlink_to(tmp_path / "models.py")
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert [fault.key for fault in caught.value.faults] == ["candidate[2].fit"]


def test_one_bracket_too_few(tmp_path):
    text = (SAMPLES / "small.toml").read_text().replace("[[candidate]]", "[candidate]")
    (tmp_path / "kring.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    assert [(fault.key, fault.next) for fault in caught.value.faults] == [
        ("candidate", "write [[candidate]] in double brackets")
    ]


def accepted(system: System, text: str) -> None:
    assert isinstance(system, System)
    assert system.baseline.name
    SCHEMA.validate(tomllib.loads(text))


def well_told(error: ConfigError, *, lines: int) -> None:
    assert error.faults
    assert str(error)
    assert all(1 <= fault.line <= lines for fault in error.faults)
    assert all(fault.message and (fault.allowed or fault.next) for fault in error.faults)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_edit_gives_anything_but_a_system_or_an_error_of_ours(tmp_path_factory, data):
    text = FULL
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 40))
        piece = data.draw(
            st.one_of(
                st.text(max_size=12),
                st.sampled_from(
                    ["\n", "[", "]]", '"', "= 1\n", "{}", "[[candidate]]\n", "[gate]\n", "1e999", ".", "'''"]
                ),
                st.sampled_from(FULL.splitlines(keepends=True)),
            )
        )
        text = text[:start] + piece + text[start + length :]
    folder = tmp_path_factory.mktemp("edit")
    (folder / "models.py").write_text("")
    (folder / "kring.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        accepted(read(folder), text)
    except ConfigError as error:
        well_told(error, lines=text.count("\n") + 1)
    except (DataError, NotFound):
        return


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=5).filter(lambda text: text.isprintable()),
        st.sampled_from(["1d", "0s", "> 0", "linear", "time", "models.py:forest", "district"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "by", "test", "name", "key"]), inner, max_size=3),
    ),
    max_leaves=4,
)


def toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).replace("e+", "e")
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return str(value)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_value_at_any_key(tmp_path_factory, data):
    lines = FULL.splitlines()
    numbers = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    number = data.draw(st.sampled_from(numbers))
    lines[number] = lines[number].split(" = ")[0] + " = " + toml(data.draw(VALUES))
    folder = tmp_path_factory.mktemp("value")
    (folder / "models.py").write_text("")
    (folder / "kring.toml").write_text("\n".join(lines))
    try:
        accepted(read(folder), "\n".join(lines))
    except ConfigError as error:
        well_told(error, lines=len(lines))

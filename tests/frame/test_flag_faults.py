"""Everything that can be wrong with a flag or a trial in a `kring.toml`: the edit, its key, a word of the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from kring.errors import ConfigError
from kring.frame.read import read

SAMPLE = (Path(__file__).parent / "samples" / "running.toml").read_text()
WHEN = "when = 'country == \"NL\"'"
TWICE = '[[flag]]\nname = "tone"\nvariants = { a = 1 }\ndefault = "a"\n\n[[trial]]'

VALUES = 'variants = { warm = "Dear", plain = "Hello" }'
ARMS = 'arms = { a = "plain", b = "warm" }'
VERSIONS = 'arms = { a = "live", b = "canary", c = "v_x" }'

FAULTS = [
    (WHEN, "when = 'country +'", "flag[0].rule[0].when", "not an expression"),
    (WHEN, "when = '5'", "flag[0].rule[0].when", "neither true nor false"),
    (WHEN, "when = 'country + 1'", "flag[0].rule[0].when", "wrong type"),
    (WHEN, 'when = \'lookup("a", key=["b"]) > 1\'', "flag[0].rule[0].when", "no tables"),
    (WHEN, "when = '__import__(\"os\")'", "flag[0].rule[0].when", "no function"),
    (WHEN, "when = 5", "flag[0].rule[0].when", ""),
    ('name = "tone"', 'name = "arm"', "flag[0].name", "which version answers"),
    ('name = "tone"', 'name = "canary"', "flag[0].name", "which version answers"),
    ('name = "tone"', 'name = "Tone"', "flag[0].name", ""),
    ("[[trial]]", TWICE, "flag[1].name", "share this name"),
    (VALUES, "variants = {}", "flag[0].variants", "empty"),
    (VALUES, 'variants = { warm = "Dear", plain = 5 }', "flag[0].variants", "one type"),
    ('default = "plain"', 'default = "plane"', "flag[0].default", "no such variant"),
    ('variant = "warm"', 'variant = "hot"', "flag[0].rule[0].variant", "no such variant"),
    ("share = 0.5", "share = 1.5", "flag[0].rule[0].share", ""),
    ("share = 0.5", "share = -0.1", "flag[0].rule[0].share", ""),
    ('flag = "tone"', 'flag = "tune"', "trial[0].flag", "no such flag"),
    (ARMS, 'arms = { a = "plain", b = "hot" }', "trial[0].arms.b", "no such variant"),
    (ARMS, 'arms = { a = "plain" }', "trial[0].arms", "two arms or more"),
    ('control = "a"', 'control = "c"', "trial[0].control", "no such arm"),
    ("shares = { a = 0.75, b = 0.25 }", "shares = { a = 0.75, b = 0.2 }", "trial[0].shares", "make up the whole"),
    ("shares = { a = 0.75, b = 0.25 }", "shares = { a = 0.75 }", "trial[0].shares", "make up the whole"),
    ("alpha = 0.01\nleast", "alpha = 1.0\nleast", "trial[0].alpha", ""),
    ("least_units = 50", "least_units = 0", "trial[0].least_units", ""),
    ("low = -10.0", "low = 600.0", "trial[0].outcome[1]", "between low and high"),
    ('kind = "money"', 'kind = "honey"', "trial[0].outcome[1].kind", "money"),
    ('within = "3d"', 'within = "0s"', "trial[0].outcome[0].within", ""),
    (f'flag = "tone"\n{ARMS}', VERSIONS, "trial[0].arms", "two versions"),
]


@pytest.mark.parametrize(("old", "new", "key", "word"), FAULTS, ids=[f"{new[:40]}" for _, new, _, _ in FAULTS])
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, key: str, word: str) -> None:
    assert old in SAMPLE
    file = tmp_path / "kring.toml"
    file.write_text(SAMPLE.replace(old, new, 1))
    with pytest.raises(ConfigError) as wrong:
        read(file)
    found = {fault.key: str(fault) for fault in wrong.value.faults}
    assert key in found, found
    assert word in found[key]
    assert all(fault.line for fault in wrong.value.faults)

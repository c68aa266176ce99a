"""The small system of loans with flags and a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from systems import write_loans

FLAGS: Final = """
[[flag]]
name = "greeting"
description = "What the page says first"
variants = { plain = "Hello", warm = "Good to see you", cold = "Yes?" }
default = "plain"
off = "cold"

[[flag.rule]]
when = 'plan == "pro" and age >= 18'
variant = "warm"

[[flag]]
name = "limit"
variants = { low = 0.4, high = 0.6 }
default = "low"

[[flag]]
name = "gradual"
variants = { no = false, yes = true }
default = "no"

[[flag.rule]]
variant = "yes"
share = 0.3

[[trial]]
name = "greetings"
flag = "greeting"
arms = { a = "plain", b = "warm" }
control = "a"
least_units = 20

[[trial.outcome]]
name = "bought"
within = "1h"

[[trial.outcome]]
name = "spent"
kind = "money"
high = 200
within = "1h"

[[trial.outcome]]
name = "liked"
kind = "score"
low = 1
high = 5
within = "1h"

[[trial]]
name = "versions"
arms = { old = "live", new = "canary" }
control = "old"

[[trial.outcome]]
name = "bought"
"""


def write_flagged(folder: Path) -> Path:
    """The system, not yet released."""
    written = write_loans(folder, out_of_contract="reject")
    file = written / "kring.toml"
    file.write_text(file.read_text() + FLAGS)
    return written

"""The short form of the seeded simulation; the long one is `python benchmarks/drift/simulate.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_drift_is_found_where_it_is_and_nowhere_else() -> None:
    script = ROOT / "benchmarks" / "drift" / "simulate.py"
    done = subprocess.run([sys.executable, str(script), "--short"], capture_output=True, text=True, check=True)
    assert "| 0 of 150 windows raise an alarm |" in done.stdout
    windows = dict(re.findall(r"a shift of (0\.\d) sd \| .* in (\d+\.\d) windows", done.stdout))
    assert float(windows["0.2"]) <= 7
    assert float(windows["0.5"]) == 1
    usual = dict(re.findall(r"([A-Z]{2,3}[^,|%]*?) in (\d+)%", done.stdout.replace("KS, p", "KS p")))
    assert int(usual["KS p < 0.05"]) > 50, "what it is compared with has to alarm as it does elsewhere"

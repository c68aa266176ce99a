"""Run the benchmarks and write their rows into RESULTS.md.

    python benchmarks/run.py            all
    python benchmarks/run.py startup    only startup.py; the rows of the others stay

Every other program beside this file is a benchmark, and so are those in folders that `INSIDE` names. On stdout it
prints rows of the table and nothing else: `| command | date | ratio | beside it |`, where the ratio was measured in
one run, of medians.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
INSIDE = {
    "drift": ("simulate", "run", "resampled"),
    "release": ("false_rollbacks", "detection", "promotion", "paired_shadow", "intervals"),
    "serve": ("run", "overload", "rollback"),
}
HEAD = """# Results

Made by `make bench`. Ratios are measured in one run, of medians, so that they hold on other machines too.

| command | date | ratio | beside it |
|---|---|---|---|
"""


def rows_of(script: Path) -> list[str]:
    """What one benchmark printed."""
    name = f"benchmarks/{script.relative_to(HERE)}"
    print(name, flush=True)
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=False)
    rows = done.stdout.splitlines()
    if done.returncode or any(not row.startswith("|") or name not in row for row in rows):
        sys.exit(f"{name} ended with {done.returncode} and printed {done.stdout!r}")
    print(*rows, sep="\n", flush=True)
    return rows


def main() -> None:
    scripts = {file.stem: file for file in sorted(HERE.glob("*.py")) if file.name != Path(__file__).name}
    scripts |= {f"{folder}/{name}": HERE / folder / f"{name}.py" for folder, names in INSIDE.items() for name in names}
    if unknown := set(sys.argv[1:]) - set(scripts):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(scripts)}")
    for name in sys.argv[1:] or list(scripts):
        found = rows_of(scripts[name])
        old = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
        rows = {
            other: [row for row in old if f"benchmarks/{file.relative_to(HERE)}" in row]
            for other, file in scripts.items()
        }
        rows[name] = found
        RESULTS.write_text(HEAD + "".join(f"{row}\n" for some in rows.values() for row in some), encoding="utf-8")


if __name__ == "__main__":
    main()

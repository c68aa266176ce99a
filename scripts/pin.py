"""Write constraints.txt: the exact version of everything that is installed, names and versions only."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

TARGET = Path(__file__).parents[1] / "constraints.txt"
OURS = {"kring", "pip", "setuptools", "wheel"}


def main() -> None:
    found = {(item.metadata["Name"].lower().replace("_", "-"), item.version) for item in distributions()}
    lines = sorted(f"{name}=={version}" for name, version in found if name not in OURS)
    TARGET.write_text("# Made by `make pin`: what the tests ran with.\n" + "\n".join(lines) + "\n")
    print(f"{TARGET.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()

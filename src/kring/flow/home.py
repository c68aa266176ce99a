"""Where a system keeps what it remembers: the folder `.kring` beside its `kring.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """One folder with all state. Deleting it forgets the system; nothing lies elsewhere."""

    root: Path

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def recipes(self) -> Path:
        return self.root / "recipes"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def versions(self) -> Path:
        return self.root / "versions"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def drift(self) -> Path:
        return self.root / "watch" / "drift.json"

    @property
    def explanations(self) -> Path:
        return self.root / "explanations"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def trials(self) -> Path:
        return self.root / "trials.db"

    @property
    def vault(self) -> Path:
        return self.root / "vault" / "vault.db"

    @property
    def signing_key(self) -> Path:
        return self.root / "keys" / "signing.pem"

    @property
    def public_key(self) -> Path:
        return self.root / "keys" / "signing.pub"

"""What every vault must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from kring.errors import StorageError
from kring.ports.vault import Vault


class VaultSuite(ABC):
    @abstractmethod
    def make(self, folder: Path) -> Vault:
        """The vault that lives in `folder`; made when missing, the same one when opened again."""

    def test_equal_values_have_equal_tokens(self, tmp_path: Path) -> None:
        vault = self.make(tmp_path / "vault")
        values = ["ada", "bob", "ada", "", "ADA", "ada ", "Zoë", "\ud800", "a\x00b", "ada"]
        tokens = vault.tokens(values)
        assert len(tokens) == len(values)
        assert len(set(tokens)) == len(set(values))
        assert tokens[0] == tokens[2] == tokens[-1]
        assert vault.tokens(["bob"]) == [tokens[1]]
        assert vault.tokens([]) == []
        vault.close()

    def test_a_token_shows_nothing_of_its_value(self, tmp_path: Path) -> None:
        vault, other = self.make(tmp_path / "one"), self.make(tmp_path / "other")
        assert "ada" not in vault.tokens(["ada"])[0].lower()
        assert vault.tokens(["ada"]) != other.tokens(["ada"])
        vault.close()
        other.close()

    def test_tokens_outlive_the_process(self, tmp_path: Path) -> None:
        vault = self.make(tmp_path / "vault")
        tokens = vault.tokens(["ada", "bob"])
        vault.close()
        vault.close()
        again = self.make(tmp_path / "vault")
        assert again.tokens(["ada", "bob"]) == tokens
        again.close()

    def test_what_is_forgotten_gets_another_token(self, tmp_path: Path) -> None:
        vault = self.make(tmp_path / "vault")
        ada, bob = vault.tokens(["ada", "bob"])
        assert vault.forget("ada")
        assert not vault.forget("ada")
        assert not vault.forget("nobody")
        assert vault.tokens(["bob"]) == [bob]
        assert vault.tokens(["ada"]) != [ada]
        vault.close()

    def test_a_token_stands_for_its_subject(self, tmp_path: Path) -> None:
        vault = self.make(tmp_path / "vault")
        ada, bob = vault.tokens(["ada", "bob"])
        assert [vault.known(value) for value in ("ada", "bob", "nobody")] == [ada, bob, ""]
        assert vault.forget(ada)
        assert [vault.known(value) for value in ("ada", "bob")] == ["", bob]
        assert not vault.forget(ada)
        vault.close()

    def test_keys_belong_to_values_and_go_with_them(self, tmp_path: Path) -> None:
        vault = self.make(tmp_path / "vault")
        assert vault.keys(["ada", "bob"], make=False) == [None, None]
        (token,) = vault.tokens(["ada"])
        of_token, again, of_bob = vault.keys([token, token, "bob"])
        assert of_token == again != of_bob
        assert of_token is not None
        assert len(of_token) == 16
        assert vault.keys(["bob", token], make=False) == [of_bob, of_token]
        assert vault.forget("ada")
        assert vault.keys([token, "bob"], make=False) == [None, of_bob]
        assert vault.keys([token]) != [of_token]
        vault.close()

    def test_two_open_vaults_agree(self, tmp_path: Path) -> None:
        one, two = self.make(tmp_path / "vault"), self.make(tmp_path / "vault")
        values = [f"subject {number}" for number in range(300)]
        assert one.tokens(values[:200]) + two.tokens(values[200:]) == two.tokens(values[:200]) + one.tokens(
            values[200:]
        )
        one.close()
        two.close()

    def test_a_closed_vault_makes_no_tokens(self, tmp_path: Path) -> None:
        vault = self.make(tmp_path / "vault")
        vault.close()
        with pytest.raises(StorageError):
            vault.tokens(["ada"])

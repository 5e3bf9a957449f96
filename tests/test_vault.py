"""The vault: made once, kept, follows its files, shows nothing. sops is replaced by a stand-in that reverses text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from provision import settings, shell
from provision.errors import PreconditionMissing, SettingsError
from provision.vault import SALT, SecretSpec, Vault, digest

PASSWORDS = SecretSpec("postgresql", ("password",))
LINK = SecretSpec("link", ("private", "public"), "ssh-key")
FILE = SecretSpec("registry", ("user", "password"), "file", "registry.json", "nodes")


class Sops:
    """Stands in for sops; remembers how it was called."""

    def __init__(self) -> None:
        self.argv: list[list[str]] = []

    def run(self, argv: Sequence[str | Path], *, stdin: str | None = None, **_rest: Any) -> shell.Result:
        words = [str(word) for word in argv]
        self.argv.append(words)
        text = stdin[::-1] if words[1] == "encrypt" and stdin is not None else Path(words[-1]).read_text()[::-1]
        return shell.Result(tuple(words), 0, text, "", 0.0)


@pytest.fixture
def sops(monkeypatch: pytest.MonkeyPatch) -> Sops:
    sops = Sops()
    monkeypatch.setattr("provision.vault.shell.run", sops.run)
    return sops


@pytest.fixture
def vault(sops: Sops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path))
    return Vault(settings.load("rehearsal"))


def registry(vault: Vault, **entries: str) -> None:
    vault.settings.config_dir.mkdir(parents=True, exist_ok=True)
    (vault.settings.config_dir / "registry.json").write_text(json.dumps(entries))


def test_no_vault_reads_as_empty_and_makes_nothing(vault: Vault) -> None:
    assert vault.read() == {}
    assert not vault.settings.config_dir.exists()


def test_what_is_wanted_is_made_once_and_kept(vault: Vault) -> None:
    assert vault.ensure([PASSWORDS, LINK]) == ("postgresql", "link")
    before = vault.read()
    assert vault.ensure([PASSWORDS, LINK]) == ()
    assert vault.read() == before


def test_a_new_key_leaves_the_old_ones_alone(vault: Vault) -> None:
    vault.ensure([PASSWORDS])
    before = vault.read()["postgresql"]["password"]
    assert vault.ensure([SecretSpec("postgresql", ("password", "replica"))]) == ("postgresql",)
    entry = vault.read()["postgresql"]
    assert entry["password"] == before
    assert len(entry["replica"]) >= 32


def test_a_renewed_entry_has_the_value_before_as_long_as_it_is_not_forgotten(vault: Vault) -> None:
    spec = SecretSpec("s3-mlflow", ("access", "secret", "previous-secret"))
    vault.ensure([PASSWORDS, spec])
    before = vault.read()
    vault.renew(spec)
    after = vault.read()
    assert after["postgresql"] == before["postgresql"]
    assert set(after["s3-mlflow"]) == set(spec.keys)
    assert not set(after["s3-mlflow"].values()) & {
        before["s3-mlflow"]["access"],
        before["s3-mlflow"]["previous-secret"],
    }
    assert after["s3-mlflow"]["previous-secret"] == before["s3-mlflow"]["secret"] != after["s3-mlflow"]["secret"]
    vault.forget(spec)
    last = vault.read()["s3-mlflow"]
    assert {key: last[key] for key in ("access", "secret")} == {
        key: after["s3-mlflow"][key] for key in ("access", "secret")
    }
    assert last["previous-secret"] != before["s3-mlflow"]["secret"]


def test_the_link_gets_a_pair(vault: Vault) -> None:
    vault.ensure([LINK])
    entry = vault.read()["link"]
    assert entry["private"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert entry["public"].startswith("ssh-ed25519 ")


def test_files_are_for_the_owner_only(vault: Vault) -> None:
    vault.ensure([PASSWORDS])
    assert {path.stat().st_mode & 0o777 for path in (vault.path, vault.key_path)} == {0o600}
    assert vault.settings.config_dir.stat().st_mode & 0o777 == 0o700


def test_nothing_secret_is_in_argv(vault: Vault, sops: Sops) -> None:
    vault.ensure([PASSWORDS])
    values = [vault.read()["postgresql"]["password"], vault.key_path.read_text().splitlines()[1]]
    assert [word for argv in sops.argv for word in argv if any(value in word for value in values)] == []


def test_a_file_entry_follows_its_file(vault: Vault) -> None:
    registry(vault, user="one", password="first")
    assert vault.ensure([FILE]) == ("registry",)
    registry(vault, user="one", password="second", host="somewhere")
    assert vault.is_stale(FILE, vault.read())
    vault.ensure([FILE])
    assert vault.read()["registry"] == {"user": "one", "password": "second"}


def test_a_file_that_is_gone_leaves_its_entry(vault: Vault) -> None:
    registry(vault, user="one", password="first")
    vault.ensure([FILE])
    (vault.settings.config_dir / "registry.json").unlink()
    assert not vault.is_stale(FILE, vault.read())


def test_a_file_that_never_was_names_its_keeper(vault: Vault) -> None:
    with pytest.raises(PreconditionMissing) as caught:
        vault.ensure([FILE])
    assert "invoke provision.nodes" in caught.value.next


def test_a_broken_file_is_a_settings_error(vault: Vault) -> None:
    vault.settings.config_dir.mkdir(parents=True)
    (vault.settings.config_dir / "registry.json").write_text("{")
    with pytest.raises(SettingsError, match=r"registry\.json"):
        vault.ensure([FILE])


def test_a_vault_without_its_key_is_never_given_a_new_one(vault: Vault) -> None:
    vault.ensure([PASSWORDS])
    vault.key_path.unlink()
    with pytest.raises(PreconditionMissing, match="cannot be opened"):
        vault.ensure([PASSWORDS])
    assert not vault.key_path.exists()


def test_a_spoilt_key_is_named(vault: Vault) -> None:
    vault.ensure([PASSWORDS])
    vault.key_path.write_text("nothing\n")
    with pytest.raises(SettingsError, match=r"age\.key"):
        vault.read()


def test_fingerprints_tell_values_apart_and_depend_on_the_salt(vault: Vault) -> None:
    vault.ensure([PASSWORDS])
    entries = vault.read()
    assert vault.fingerprint("postgresql") == digest(entries, entries["postgresql"])
    assert digest(entries, {"password": "a"}) != digest(entries, {"password": "b"})
    assert digest(entries, {"password": "a"}) != digest({SALT: {SALT: "other"}}, {"password": "a"})


def test_a_fingerprint_does_not_show_the_value(vault: Vault) -> None:
    vault.ensure([PASSWORDS])
    assert vault.read()["postgresql"]["password"] not in vault.fingerprint("postgresql")

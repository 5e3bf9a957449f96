"""The door to secrets: one SOPS file encrypted to an age key; both lie in the platform's folder outside the checkout.

Plain text only ever passes through stdin and stdout of sops: never argv, a log, `.state/`, or a disk.
Passwords and keys are made once and then kept; entries of kind `file` follow the file that somebody else keeps.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provision import age, shell
from provision.errors import PreconditionMissing, SettingsError
from provision.settings import Settings
from provision.state import write_atomic
from provision.wait import never, wait_until

Entries = Mapping[str, Mapping[str, str]]
SALT = "salt"
SOPS_DEADLINE_S = 20.0
PASSWORD_BYTES = 24
PREVIOUS = "previous-"


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """One entry of the vault.

    kind: `passwords` makes a random text for each key; `ssh-key` makes `private` and `public`;
    `file` copies the keys from the JSON file `source` of the platform's folder, whose keeper is `step`.
    """

    name: str
    keys: tuple[str, ...]
    kind: Literal["passwords", "ssh-key", "file"] = "passwords"
    source: str = ""
    step: str = ""


@dataclass(frozen=True)
class Vault:
    """The secrets of one platform."""

    settings: Settings

    @property
    def path(self) -> Path:
        """The SOPS file."""
        return self.settings.config_dir / "secrets.sops.yaml"

    @property
    def key_path(self) -> Path:
        """The age identity that opens it (0600)."""
        return self.settings.config_dir / "age.key"

    def read(self) -> Entries:
        """Every entry in the clear; empty where there is no vault yet."""
        if not self.path.exists():
            return {}
        self._recipient()
        answer = shell.run(
            ["sops", "decrypt", "--input-type", "yaml", "--output-type", "json", self.path],
            deadline_s=SOPS_DEADLINE_S,
            env={"SOPS_AGE_KEY_FILE": str(self.key_path)},
            cwd=self.settings.config_dir,
        )
        return dict(json.loads(answer.stdout))

    def ensure(self, wanted: Sequence[SecretSpec]) -> tuple[str, ...]:
        """Make or renew what is wanted, safely beside other writers; returns the names of the entries written."""
        with self._locked():
            entries = {name: dict(values) for name, values in self.read().items()}
            entries.setdefault(SALT, {SALT: secrets.token_urlsafe(PASSWORD_BYTES)})
            stale = [spec for spec in wanted if self.is_stale(spec, entries)]
            for spec in stale:
                entries[spec.name] = {**entries.get(spec.name, {}), **self._make(spec, entries.get(spec.name, {}))}
            if stale:
                write_atomic(self.path, self._encrypt(entries))
            return tuple(spec.name for spec in stale)

    def renew(self, spec: SecretSpec) -> None:
        """Give an entry new values; what a key had goes to its `previous-` key, if there is one. Tells nobody."""
        self._put(spec, lambda have: {f"{PREVIOUS}{key}": value for key, value in have.items()})

    def forget(self, spec: SecretSpec) -> None:
        """Make the `previous-` keys of an entry worthless."""
        self._put(spec, lambda have: {key: value for key, value in have.items() if not key.startswith(PREVIOUS)})

    def _put(self, spec: SecretSpec, keep: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Make an entry anew. keep: what of it is known already, from what it has."""
        with self._locked():
            entries = {name: dict(values) for name, values in self.read().items()}
            entries[spec.name] = dict(self._make(spec, keep(entries.get(spec.name, {}))))
            write_atomic(self.path, self._encrypt(entries))

    def is_stale(self, spec: SecretSpec, entries: Entries) -> bool:
        """Whether an entry is missing, lacks a key, or no longer equals the file it follows."""
        have = entries.get(spec.name, {})
        if spec.kind == "file" and (source := self._source(spec)):
            return any(have.get(key) != source.get(key) for key in spec.keys)
        return any(key not in have for key in spec.keys)

    def fingerprint(self, name: str) -> str:
        """What may be shown of an entry: see `digest`."""
        entries = self.read()
        return digest(entries, entries[name])

    def _make(self, spec: SecretSpec, have: Mapping[str, str]) -> Mapping[str, str]:
        if spec.kind == "ssh-key":
            return _ssh_key(f"tandem-{self.settings.platform}-{spec.name}")
        if spec.kind == "passwords":
            return {key: have.get(key) or secrets.token_urlsafe(PASSWORD_BYTES) for key in spec.keys}
        source = self._source(spec)
        absent = [key for key in spec.keys if key not in source]
        if absent:
            raise PreconditionMissing(
                f"secret {spec.name}: nothing to copy from",
                why=f"{self.settings.config_dir / spec.source} lacks {', '.join(absent)}",
                next=f"invoke provision.{spec.step or 'all'} --env {self.settings.env}",
            )
        return {key: source[key] for key in spec.keys}

    def _source(self, spec: SecretSpec) -> Mapping[str, str]:
        path = self.settings.config_dir / spec.source
        if not path.exists():
            return {}
        try:
            return {str(key): str(value) for key, value in json.loads(path.read_text()).items()}
        except (json.JSONDecodeError, AttributeError) as error:
            raise SettingsError(f"{path.name} -> whole file -> expected a JSON object of texts") from error

    def _encrypt(self, entries: Entries) -> str:
        """The SOPS text of the entries (JSON is YAML, so nothing needs quoting)."""
        return shell.run(
            [
                "sops",
                "encrypt",
                "--age",
                self._recipient(),
                "--input-type",
                "yaml",
                "--output-type",
                "yaml",
                "--filename-override",
                self.path.name,
            ],
            deadline_s=SOPS_DEADLINE_S,
            stdin=json.dumps(entries),
            cwd=self.settings.config_dir,
        ).stdout

    def _recipient(self) -> str:
        """The public key; the identity is made on first use, but never beside a vault that another one closed."""
        if not self.key_path.exists():
            if self.path.exists():
                raise PreconditionMissing(
                    "the vault cannot be opened",
                    why=f"{self.path} is there, its key {self.key_path} is not",
                    next=f"put the platform's age key back at {self.key_path}",
                )
            write_atomic(self.key_path, age.new_identity(), 0o600)
        try:
            return age.recipient(self.key_path.read_text())
        except ValueError as error:
            raise SettingsError(f"{self.key_path} -> whole file -> expected an age identity", why=str(error)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, threads of one process included: each opens the lock file for itself."""
        self.settings.config_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.settings.config_dir / "secrets.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            wait_until("the vault's lock", lambda: _try_lock(descriptor), bool, never, deadline_s=30.0, every_s=0.05)
            yield
        finally:
            os.close(descriptor)


def digest(entries: Entries, values: Mapping[str, str]) -> str:
    """A keyed hash of values, so that copies can be compared where values must not be seen (32 hex digits)."""
    key = entries.get(SALT, {}).get(SALT, "").encode()
    text = json.dumps(dict(values), sort_keys=True).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


def _ssh_key(comment: str) -> Mapping[str, str]:
    """A new ed25519 pair, made in memory: ssh-keygen would put it on disk."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()).decode()
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
    return {"private": private, "public": f"{public} {comment}"}


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

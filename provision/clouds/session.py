"""The way to one site's APIs: openstacksdk with an explicit entry of an explicit file, and its errors in our words.

A refused credential is tried once, ever: later questions, of this run and of the next, fail without asking, because
repeated refusals lock an account. Every request has a time limit; none is repeated, unless the cloud says when to ask
again (patience.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from provision.clouds.refusals import Refusals, digest
from provision.errors import (
    CredentialsRefused,
    LeaseUnavailable,
    PlatformError,
    PreconditionMissing,
    QuotaExceeded,
    StepFailed,
)

REQUEST_S = 60
"""Time limit of one request. A loaded service answers late; one that hangs would otherwise hang us for ever."""

_QUOTA_WORDS = ("quota", "would spend", "exceed")
_RULES = ("would spend", "maximum lease duration", "can only be extended within", "project expiration date")
"""Of leases. The same refusal comes as 400 or 403, by the version of Blazar and by what was asked."""
_NOT_NOW = (502, 503, 504)


@dataclass
class Session:
    """Lazily made, then kept. path: clouds.yaml. entry: its entry. env: only for what to type next.

    refusals: what is remembered of refused credentials. transport: a requests.Session instead of the network's.
    """

    site: str
    entry: str
    path: Path
    env: str
    refusals: Refusals = field(default_factory=lambda: Refusals(None))
    transport: Any = None
    _lock: Lock = field(default_factory=Lock)
    _connection: Any = None
    _refused: PlatformError | None = None

    @contextmanager
    def asking(self, what: str) -> Iterator[Any]:
        """The SDK connection; whatever it raises comes out as one of ours, saying `what` was asked.

        Imports the SDK here: it costs more than a second, which `invoke --list` must not pay.
        """
        import requests
        from keystoneauth1 import exceptions as auth
        from openstack import exceptions as sdk

        foreseen = (auth.ClientException, sdk.SDKException, requests.exceptions.RequestException)
        connection = self._connect(foreseen)
        try:
            yield connection
        except foreseen as error:
            renewing = str(getattr(error, "url", "")).endswith("/auth/tokens")
            raised = self._translated(what, error, login=renewing)
            self._remember(connection, raised)
            raise raised from error

    def _connect(self, foreseen: tuple[type[Exception], ...]) -> Any:
        with self._lock:
            if self._refused is not None:
                raise self._refused
            if self._connection is None:
                connection = self._open()
                self._refuse_what_was_refused(connection)
                try:
                    connection.session.get_token()
                except foreseen as error:
                    raised = self._translated("log in", error, login=True)
                    self._remember(connection, raised)
                    raise raised from error
                self._connection = connection
            return self._connection

    def _remember(self, connection: Any, raised: PlatformError) -> None:
        if isinstance(raised, CredentialsRefused):
            self._refused = raised
            self.refusals.add(digest(connection.config.get_auth_args()), self.site, raised.why)

    def _refuse_what_was_refused(self, connection: Any) -> None:
        path = self.refusals.file(digest(connection.config.get_auth_args()))
        if path:
            self._refused = CredentialsRefused(
                f"{self.site}: this credential was refused before, and is not tried again",
                why=path.read_text().strip(),
                next=f"put a new one into {self.path}, then: invoke doctor --env {self.env}   (or: rm {path})",
            )
            raise self._refused

    def _open(self) -> Any:
        from keystoneauth1.session import Session as KeystoneSession
        from openstack.config import OpenStackConfig
        from openstack.connection import Connection
        from openstack.exceptions import ConfigException
        from requests import Session as Transport

        from provision.clouds.patience import patient

        if not self.path.exists():
            raise PreconditionMissing(
                f"{self.site}: no {self.path.name}",
                why=f"{self.path} does not exist",
                next=f"invoke doctor --env {self.env}",
            )
        try:
            # Stray OS_* variables would win over the entry: never read.
            # Any callable will do where the SDK's types ask for a class.
            make: Any = partial(KeystoneSession, session=patient(self.transport or Transport()))
            config = OpenStackConfig(
                config_files=[str(self.path)],
                secure_files=["/dev/null"],
                load_envvars=False,
                session_constructor=make,
            )
            region = config.get_one(cloud=self.entry, api_timeout=REQUEST_S)
        except ConfigException as error:
            raise PreconditionMissing(
                f"{self.site}: {self.path} has no usable entry {self.entry!r}",
                why=str(error),
                next=f"add the entry, then: invoke doctor --env {self.env}",
            ) from error
        return Connection(config=region)

    def _translated(self, what: str, error: Exception, *, login: bool = False) -> PlatformError:
        from keystoneauth1.exceptions import EndpointNotFound
        from openstack.exceptions import NotFoundException, ServiceDisabledException

        if isinstance(error, EndpointNotFound | ServiceDisabledException):
            return PreconditionMissing(
                f"{self.site}: {what}: the site has no such service",
                why=str(error),
                next=f"invoke doctor --env {self.env}",
            )
        status = int(getattr(error, "status_code", None) or getattr(error, "http_status", None) or 0)
        if not status and isinstance(error, NotFoundException):
            status = 404  # the SDK looked through a list itself
        text = str(getattr(error, "details", None) or error)
        return refusal(f"{self.site}: {what}", status, text, env=self.env, login=login)


def refusal(what: str, status: int, text: str, *, env: str, login: bool = False) -> PlatformError:
    """An HTTP answer (status 0: no answer) in our words. Pure.

    The clouds tell quotas and full calendars only by text, so the text is read here and nowhere else.
    """
    why = f"HTTP {status}: {text}" if status else text
    low = text.lower()
    doctor = f"invoke doctor --env {env}"
    if status == 401 and not login:  # the SDK has just got a new token: keystone takes the credential
        return PreconditionMissing(f"{what}: the service does not know our token", why=why, next=f"later: {doctor}")
    if login and status in (401, 403, 404):
        return CredentialsRefused(
            f"{what}: credentials refused",
            why=f"{why} (tried once; repeated refusals lock an account)",
            next=f"put a working application credential into clouds.yaml, then: {doctor}",
        )
    if status == 429:
        return PreconditionMissing(f"{what}: asked too often", why=why, next=f"later: {doctor}")
    if status == 0 or status in _NOT_NOW:
        return PreconditionMissing(f"{what}: the cloud does not answer", why=why, next=doctor)
    if "not enough" in low and "available" in low:
        return LeaseUnavailable(f"{what}: no slot now", why=why, next=f"invoke provision.all --env {env}  (later)")
    if status == 400 and any(rule in low for rule in _RULES):
        status = 403
    if status == 413 or (status in (403, 409) and any(word in low for word in _QUOTA_WORDS)):
        return QuotaExceeded(f"{what}: over quota", why=why, next=f"free some, then: invoke provision.all --env {env}")
    if status == 404:
        return PreconditionMissing(f"{what}: not there", why=why, next=doctor)
    if status == 403:
        return PreconditionMissing(f"{what}: not allowed", why=why, next=doctor)
    return StepFailed(what, why=why, next=f"invoke provision.status --env {env}")

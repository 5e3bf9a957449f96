"""Every test is offline and quick: no socket, no subprocess, no sleep. A test that needs one is a check (verify/)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import NoReturn, SupportsIndex

import pytest
from pytest_socket import disable_socket, enable_socket


class NotInTests(RuntimeError):
    """A test touched what tests must not touch."""


def _refuse(what: str) -> NoReturn:
    raise NotInTests(f"a test may not {what}: pass a fake in, or write a check under verify/")


def _no_sleep(_seconds: float | SupportsIndex) -> NoReturn:
    _refuse("sleep")


# Before any module of ours is imported: some take time.sleep as the default of an argument.
_real_sleep = time.sleep
time.sleep = _no_sleep


def pytest_unconfigure() -> None:
    """Give the process its sleep back."""
    time.sleep = _real_sleep


@pytest.fixture(autouse=True)
def offline(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Block sockets (but those inside this process), subprocesses, and the machine's own keys and caches."""
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *_a, **_k: _refuse("start a subprocess"))
    for name in ("system", "fork", "posix_spawn", "execv", "execve"):
        monkeypatch.setattr(os, name, lambda *_a, **_k: _refuse("start a subprocess"))
    # A real ~/.config/tandem or ~/.cache/tandem must not decide whether a test passes, nor what another test left.
    own = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path_factory.getbasetemp() / "config" / own))
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("TANDEM_ENV", "TANDEM_PLATFORM", "TANDEM_KUBESPRAY"):
        monkeypatch.delenv(name, raising=False)
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()

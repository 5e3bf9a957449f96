"""The rules of tests/conftest.py hold."""

from __future__ import annotations

import socket
import subprocess
import time

import pytest
from pytest_socket import SocketBlockedError

from provision import shell


def test_a_socket_is_refused() -> None:
    with pytest.raises((SocketBlockedError, UserWarning)):  # the plugin warns first, and warnings are errors here
        socket.create_connection(("127.0.0.1", 9))


def test_a_subprocess_is_refused() -> None:
    with pytest.raises(RuntimeError, match="may not start a subprocess"):
        subprocess.run(["true"], check=True)
    with pytest.raises(RuntimeError, match="may not start a subprocess"):
        shell.run(["true"], deadline_s=1.0)


def test_sleep_is_refused() -> None:
    with pytest.raises(RuntimeError, match="may not sleep"):
        time.sleep(0)

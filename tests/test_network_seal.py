"""The seal on a machine that has never had one."""

from __future__ import annotations

import pytest

from provision import shell
from rehearsal.network import seal


def test_on_a_bare_machine_there_is_no_seal_and_nft_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "find", lambda tool: None)  # asking would be a subprocess, which fails here
    assert not seal.has_table()


def test_where_nft_is_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "find", lambda tool: f"/usr/sbin/{tool}")
    monkeypatch.setattr(
        shell, "run", lambda words, **_: shell.Result(words, int("tandem" not in words[-1]), "", "", 0.0)
    )
    assert seal.has_table()

"""Checks side by side: pytest-xdist's workers, a file to each, the longest files first.

The controller keeps the board and the papers; a worker runs checks, in namespaces that carry its name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from verify.board import Board

# What waits for pods and jobs, not for a processor: started first, or the run ends by waiting for the last of them.
FIRST = ("check_ray", "check_storage_class", "check_workflows", "check_tunnel", "check_gpu", "check_kubespray")
ELSEWHERE = "elsewhere"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process only runs checks for another."""
    return hasattr(config, "workerinput")


def namespace(config: pytest.Config) -> str:
    """The namespace of this process's own: both sites' walks and all workers check at the same time."""
    parts = ("tandem-verify", config.getoption("site"), os.environ.get("PYTEST_XDIST_WORKER", ""))
    return "-".join(part for part in parts if part)


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The order in which files are handed out."""
    return sorted(items, key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


class Gathered:
    """What the controller cannot count itself, since it collects nothing: the workers tell it."""

    def __init__(self, board: Board) -> None:
        self.board = board

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker's count goes out with it."""
        if is_worker(session.config):
            told: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
            told[ELSEWHERE] = self.board.elsewhere

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Every worker collects the same."""
        self.board.elsewhere = getattr(node, "workeroutput", {}).get(ELSEWHERE, self.board.elsewhere)

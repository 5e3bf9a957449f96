from __future__ import annotations

import gc
from typing import Any

import pytest

from serving import memory


def test_what_is_there_at_the_start_is_not_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    monkeypatch.setattr(gc, "collect", lambda: done.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("freeze"))
    monkeypatch.setattr(gc, "set_threshold", lambda *objects: done.append(objects))
    _, middle, old = gc.get_threshold()
    memory.settle()
    assert done == ["collect", "freeze", (memory.YOUNG, middle, old)]

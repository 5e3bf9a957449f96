"""Make oslo.db live well with SQLite and many threads.

oslo.db begins every transaction deferred. A transaction that reads first and writes later must then upgrade its lock,
and SQLite refuses that at once ("database is locked"), whatever the busy timeout. Writers therefore begin IMMEDIATE.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event
from sqlalchemy.engine import Engine

BUSY_MS = 60000
_open = threading.local()


def tune() -> None:
    """Apply to every engine that this process will make."""
    _remember_modes()
    event.listen(Engine, "connect", _on_connect)
    event.listen(Engine, "before_cursor_execute", _on_execute, retval=True)


def _remember_modes() -> None:
    context = enginefacade._TransactionContext
    produce_block = context._produce_block

    def produce(self: Any, *args: Any, **kwargs: Any) -> Any:
        block = produce_block(self, *args, **kwargs)  # first: it settles the transaction's mode
        # self.mode, not the innermost block's: a reader nested in a writer writes.
        return _tracked(self.mode, block)

    context._produce_block = produce


@contextlib.contextmanager
def _tracked(mode: object, block: Any) -> Iterator[Any]:
    modes: list[object] = _open.__dict__.setdefault("modes", [])
    modes.append(mode)
    try:
        with block as inner:
            yield inner
    finally:
        modes.pop()


def _on_connect(connection: Any, _record: object) -> None:
    if not type(connection).__module__.startswith("sqlite3"):
        return
    # No fsync: a killed process loses nothing, and a machine that loses power loses the rehearsal anyway.
    for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _on_execute(
    connection: Any, _cursor: object, statement: str, parameters: Any, _context: object, _many: bool
) -> Any:
    modes = getattr(_open, "modes", None)
    if statement == "BEGIN" and connection.dialect.name == "sqlite" and modes and modes[-1] is enginefacade._WRITER:
        statement = "BEGIN IMMEDIATE"
    return statement, parameters

"""What the backups give back, in a server of our own: a row as it was before its deletion, and a whole lost volume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from provision.site import Site
from provision.wait import never, wait_until
from verify.drills.cli import Cli
from verify.drills.scratch import PSQL, Scratch

SITE, DATABASE = "kvm-tacc", "tandem"
TEXT = "deleted by mistake"
NOW = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
FILL = f"CREATE SCHEMA tandem_verify; CREATE TABLE tandem_verify.drill AS SELECT '{TEXT}' AS text;"
EMPTY = "DELETE FROM tandem_verify.drill; SELECT pg_walfile_name(pg_current_wal_lsn() - 1);"
DROP = "DROP SCHEMA IF EXISTS tandem_verify CASCADE;"
SWITCH = "SELECT pg_walfile_name(pg_switch_wal());"
DATABASES = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database;"
NOBODY = "http://127.0.0.1:9"
READ = "SELECT text FROM tandem_verify.drill;"
# Names order as the log does; the record of a base backup has its piece's name and a suffix.
ARCHIVED = "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver;"


@dataclass(frozen=True)
class Live:
    """The platform's own server."""

    site: Site

    def sql(self, statement: str) -> str:
        """One statement there."""
        words = ("exec", "-i", "-n", "data", "statefulset/postgresql", "-c", "postgresql", "--", *PSQL, DATABASE)
        return self.site.kube.run(*words, stdin=statement).stdout.strip()


@pytest.fixture
def live(doors: Mapping[str, Site]) -> Iterator[Live]:
    """With our schema gone before and after."""
    server = Live(doors[SITE])
    server.sql(DROP)
    yield server
    server.sql(DROP)


@pytest.fixture
def scratch(doors: Mapping[str, Site]) -> Iterator[Scratch]:
    """The restored server, gone afterwards."""
    server = Scratch(doors[SITE])
    yield server
    server.remove()


@pytest.mark.slow
def test_a_deleted_row_comes_back_from_the_backups(
    cli: Cli, live: Live, scratch: Scratch, figure: Callable[[str], None]
) -> None:
    """Nothing is hurried: the log reaches the store when the archive's timeout says so, and that much can be lost."""
    live.sql(FILL)
    when = live.sql(NOW)
    lost_s, began = archived(live, live.sql(EMPTY), cli), time.monotonic()
    scratch.start(when)
    scratch.wait("ready", deadline_s=cli.budget("drill.restored_s"))
    found = scratch.sql(DATABASE, READ)
    figure(f"RTO {time.monotonic() - began:.0f} s (pod, base backup, log, read); RPO {lost_s:.0f} s unhurried")
    assert found == TEXT
    assert live.sql(READ) == ""


@pytest.mark.slow
def test_an_empty_volume_gets_everything_back(
    cli: Cli, live: Live, scratch: Scratch, figure: Callable[[str], None]
) -> None:
    """The pod's own start, as it would be on a lost volume: up to the last piece of the log, not an empty database."""
    archived(live, live.sql(FILL + SWITCH), cli)
    began = time.monotonic()
    scratch.start()
    scratch.wait("ready", deadline_s=cli.budget("drill.restored_s"))
    found = scratch.sql(DATABASE, READ)
    figure(f"{time.monotonic() - began:.0f} s; {scratch.sql(DATABASE, DATABASES)}")
    assert found == TEXT
    assert scratch.sql(DATABASE, DATABASES) == live.sql(DATABASES)


@pytest.mark.slow
def test_a_store_that_does_not_answer_stops_the_start(
    cli: Cli, scratch: Scratch, figure: Callable[[str], None]
) -> None:
    """An empty volume and nobody who knows of backups: no database is made."""
    scratch.start(endpoint=NOBODY)
    scratch.wait("Failed", deadline_s=cli.budget("drill.restored_s"))
    figure(scratch.last_words())
    assert "cannot be told" in scratch.last_words()


def archived(live: Live, piece: str, cli: Cli) -> float:
    """Wait until a piece of the log is in the object store; the seconds."""
    began = time.monotonic()
    wait_until(
        f"{piece} in the object store",
        lambda: live.sql(ARCHIVED),
        lambda name: name[:24] >= piece,
        never,
        deadline_s=cli.budget("drill.log_lost_s"),
        every_s=0.5,
    )
    return time.monotonic() - began

"""PostgreSQL: vectors found, each role in its own databases, the schema's migrations, log and backups in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import requests

from provision import releases, s3, values
from provision.releases import Release
from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until

pytestmark = pytest.mark.sites("kvm-tacc")

SCHEMA = '"tandem-verify"'
# Three unit-ish vectors along three axes; the query lies nearest to the second.
WRITE = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.chunks (name text, embedding vector(3));
INSERT INTO {SCHEMA}.chunks VALUES ('first', '[1,0,0]'), ('second', '[0,1,0]'), ('third', '[0,0,1]');
CREATE INDEX ON {SCHEMA}.chunks USING hnsw (embedding vector_cosine_ops);
"""
NEAREST = f"SELECT name FROM {SCHEMA}.chunks ORDER BY embedding <=> '[0.1,0.9,0.2]' LIMIT 1;"
DROP = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;"
# A record of the log that belongs to no table, and the end of the piece of the log that it lies in.
SWITCH = "SELECT pg_logical_emit_message(true, 'tandem-verify', 'now'); SELECT pg_walfile_name(pg_switch_wal());"
POD = ("exec", "-i", "--pod-running-timeout=5s", "-n", "data", "statefulset/postgresql", "-c", "postgresql", "--")
# Reads `role password` lines; says `role database` for every database that the role gets into.
LOGIN = """
databases=$(psql -Atc 'SELECT datname FROM pg_database WHERE datallowconn')
while read -r role PGPASSWORD; do
  export PGPASSWORD
  for database in $databases; do
    if psql -h postgresql.data.svc -U "$role" -d "$database" -wAtc 'SELECT 1' < /dev/null > /dev/null 2>&1; then
      echo "$role $database"
    fi
  done
done
"""
STORE_S = 20


@pytest.fixture(scope="module")
def release(settings: Settings) -> Release:
    """The release."""
    return releases.named("postgresql", "kvm-tacc", settings)


@pytest.fixture(scope="module")
def given(release: Release, settings: Settings) -> Mapping[str, Any]:
    """Its values."""
    return values.of(release, settings)


@pytest.fixture(scope="module")
def stored(given: Mapping[str, Any], settings: Settings) -> Callable[[str], bool]:
    """stored("base/<id>/backup.info"): whether the object store has that, asked from outside the cluster."""
    store = settings.store_site
    key = s3.KeyFile.of(settings, store).read()
    folder = f"/{settings.name(store, 'backups')}/postgresql/generation-{given['backup']['generation']}"

    def ask(path: str) -> bool:
        answer = requests.head(s3.presigned(key, "HEAD", f"{folder}/{path}"), timeout=STORE_S)
        if answer.status_code != 404:
            answer.raise_for_status()
        return answer.ok

    return ask


def test_the_nearest_vector_is_found(site: Site, figure: Callable[[str], None]) -> None:
    """Written and committed in a schema of our own, found again through an index by another connection."""
    started = time.monotonic()
    try:
        _psql(site, "tandem", DROP + WRITE)
        nearest = _psql(site, "tandem", NEAREST)
    finally:
        _psql(site, "tandem", DROP)
    figure(f"{(time.monotonic() - started) * 1000:.0f} ms")
    assert nearest == "second"


def test_each_role_gets_into_its_own_databases_and_no_other(
    site: Site, given: Mapping[str, Any], figure: Callable[[str], None]
) -> None:
    """Over the network, as applications come in, with the vault's passwords; a wrong password gets nowhere."""
    vault, roles = site.vault.read(), given["roles"]
    lines = [f"{role['name']} {vault[role['secret']]['password']}\n" for role in roles]
    wrong = [f"{role['name']} wrong\n" for role in roles[:1]]
    entered = site.kube.run(*POD, "sh", "-c", LOGIN, stdin="".join((*wrong, *lines))).stdout.splitlines()
    figure(f"{len(roles)} roles, {len(entered)} ways in")
    assert sorted(entered) == sorted(f"{role['name']} {name}" for role in roles for name in databases(role))


def test_every_migration_is_applied(site: Site, release: Release, figure: Callable[[str], None]) -> None:
    """The files of this checkout, in order, and no other."""
    applied = _psql(site, "tandem", "SELECT name FROM schema_migrations ORDER BY number;").splitlines()
    figure(", ".join(applied))
    assert applied == migrations(release)


def test_the_log_written_now_is_in_the_store(
    site: Site, stored: Callable[[str], bool], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """A record is written, its piece of the log closed, and that piece seen in the object store."""
    piece = _psql(site, "postgres", SWITCH).splitlines()[-1]
    started = time.monotonic()
    wait_until(
        f"{piece} in the object store",
        lambda: stored(f"wals/{piece[:16]}/{piece}.gz"),
        bool,
        never,
        deadline_s=budget("postgresql.archived_deadline_s"),
        every_s=0.1,
    )
    figure(f"{piece} after {(time.monotonic() - started) * 1000:.0f} ms")


def test_the_last_base_backup_is_younger_than_the_schedule(
    site: Site,
    given: Mapping[str, Any],
    stored: Callable[[str], bool],
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """What the database says of it, and the store has it."""
    newest = wait_until(
        "a base backup",
        lambda: _psql(site, "postgres", "SELECT id FROM base_backups ORDER BY ended DESC LIMIT 1;"),
        bool,
        never,
        deadline_s=budget("postgresql.backup_deadline_s"),
    )
    row = f"SELECT extract(epoch FROM now() - ended), seconds, bytes FROM base_backups WHERE id = '{newest}';"
    age_s, seconds, size = (float(field) for field in _psql(site, "postgres", row).split("|"))
    figure(f"{newest}: {age_s / 3600:.1f} h old, took {seconds:.0f} s for {size / 2**20:.0f} MiB")
    assert age_s <= given["backup"]["every_hours"] * 3600 + budget("postgresql.backup_slack_s")
    assert stored(f"base/{newest}/backup.info")


def databases(role: Mapping[str, Any]) -> Sequence[str]:
    """The databases that a role of the values gets into."""
    return [*role.get("owns", ()), *role.get("reads", ())]


def migrations(release: Release) -> list[str]:
    """The names of the migrations, in order."""
    return sorted(path.stem for path in (release.folder / "chart/files/migrations").glob("*.sql"))


def _psql(site: Site, database: str, sql: str) -> str:
    """Run SQL over the pod's own socket as the superuser."""
    command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-qAt"]
    return site.kube.run(*POD, *command, stdin=sql).stdout.strip()

"""A worker's server is deleted in the cloud: two steps bring it back, and the data on the volume is untouched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until
from verify.drills.cli import Cli
from verify.drills.listing import Listing, expected, wrong

SITE, LOST = "kvm-tacc", "node2"
ROWS = 1000


@dataclass(frozen=True)
class Table:
    """Rows of our own in the platform's PostgreSQL, in the schema `tandem_verify`."""

    site: Site

    def sql(self, statement: str) -> str:
        """Run one statement in the pod, over its own socket."""
        words = (
            "psql",
            "-h",
            "/run/postgresql",
            "-U",
            "tandem",
            "-d",
            "tandem",
            "-v",
            "ON_ERROR_STOP=1",
            "-Atc",
            statement,
        )
        return self.site.kube.run("-n", "data", "exec", "postgresql-0", "-c", "postgresql", "--", *words).stdout.strip()

    def fill(self) -> None:
        """Make the schema and its rows."""
        self.sql("CREATE SCHEMA IF NOT EXISTS tandem_verify")
        self.sql(
            "CREATE TABLE IF NOT EXISTS tandem_verify.drill AS "
            f"SELECT n, md5(n::text || clock_timestamp()::text) AS sum FROM generate_series(1, {ROWS}) AS n"
        )

    def checksum(self) -> str:
        """Count and checksum of all rows."""
        return self.sql("SELECT count(*) || ' ' || md5(string_agg(sum, ',' ORDER BY n)) FROM tandem_verify.drill")


@pytest.fixture
def table(doors: Mapping[str, Site]) -> Iterator[Table]:
    """The rows, gone afterwards."""
    made = Table(doors[SITE])
    made.fill()
    yield made
    made.sql("DROP SCHEMA tandem_verify CASCADE")


@pytest.mark.slow
@pytest.mark.breaks
def test_a_deleted_worker_comes_back_and_the_data_is_untouched(
    cli: Cli,
    settings: Settings,
    doors: Mapping[str, Site],
    clouds: Mapping[str, Listing],
    table: Table,
    figure: Callable[[str], None],
) -> None:
    """Deleted by name through the cloud's API; then `provision.nodes` and `provision.kubespray`."""
    site, cloud = doors[SITE], clouds[SITE]
    node = settings.sites[SITE].node(LOST)
    before, volumes = table.checksum(), cloud.volume_ids()
    cloud.delete_server(settings.name(SITE, node.role, node.number), deadline_s=cli.budget("drill.node_back_s"))
    started = time.monotonic()
    nodes = cli.must("provision.nodes", "--site", SITE)
    cluster = cli.must("provision.kubespray", "--site", SITE)
    ready = wait_until(
        "three nodes Ready",
        lambda: ready_nodes(site),
        lambda names: len(names) == len(site.own.nodes),
        never,
        deadline_s=cli.budget("drill.node_back_s"),
        every_s=1.0,
    )
    seconds = time.monotonic() - started
    figure(
        f"{LOST} deleted -> {len(ready)} nodes Ready in {seconds:.0f} s (nodes {nodes.seconds:.0f} s, "
        f"kubespray {cluster.seconds:.0f} s); {ROWS} rows intact"
    )
    assert table.checksum() == before
    assert before.startswith(f"{ROWS} ")
    assert cloud.volume_ids() == volumes
    assert wrong(cloud.names(), expected(settings, SITE)) == []
    assert seconds <= cli.budget("drill.node_back_s")


def ready_nodes(site: Site) -> tuple[str, ...]:
    """Names of the nodes whose condition Ready is True."""
    return tuple(
        node["metadata"]["name"]
        for node in site.kube.get("node")
        if any(
            condition["type"] == "Ready" and condition["status"] == "True" for condition in node["status"]["conditions"]
        )
    )

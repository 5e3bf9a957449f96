"""What the platform holds for people, as checksums, so that before and after can be compared: nothing may be lost.

Rows are read from PostgreSQL itself, files from the volume, objects from the object store, samples from Prometheus: not
through the applications whose data they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provision import prometheus
from provision.settings import Settings
from provision.site import Site
from verify.drills.listing import listing

# Tables that hold what people made. An application may write to its others by itself when it starts.
TABLES: Mapping[str, Sequence[str]] = {
    "tandem": ("chunks",),
    "mlflow": ("experiments", "runs", "metrics", "params", "tags", "registered_models", "model_versions"),
    "mlflow_auth": ("experiment_permissions", "registered_model_permissions"),
    "label_studio": ("project", "task", "task_completion", "prediction"),
    "argo": ("argo_archived_workflows",),
}
# MLflow never forgets an experiment: the verification takes its own back from the deleted ones and deletes it again.
CHECKS_OWN = "SELECT experiment_id FROM public.experiments WHERE name = 'tandem-verify'"
OTHERS: Mapping[str, str] = dict.fromkeys(
    ("mlflow.experiments", "mlflow.runs"), f"WHERE experiment_id NOT IN ({CHECKS_OWN})"
)
NOTEBOOKS = "find /mnt/block -name '*.ipynb' -not -path '*/.*' -type f -exec sha256sum {} + | sort -k 2"
# Backups go on by themselves; what else of the object store changes without anybody's doing is named here too.
MOVING = ("backups",)
WINDOW = "10m"
SUMMED = f"sum by (site) (count_over_time(up[{WINDOW}] @ %d))"


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind of thing: a checksum of each. What comes on top (a verification logs runs of its own) is no loss."""

    things: frozenset[str]

    @property
    def count(self) -> int:
        """How many."""
        return len(self.things)

    @property
    def checksum(self) -> str:
        """One over all of them, eight hexadecimal digits."""
        return hashlib.sha256("\n".join(sorted(self.things)).encode()).hexdigest()[:8]


Holdings = Mapping[str, Holding]


def rows(site: Site) -> Holdings:
    """`database.table` -> its rows; what an application has not made yet is left out."""
    script = [f"\\connect {base}\n" + "".join(map(_summed, [base] * len(of), of)) for base, of in TABLES.items()]
    held: dict[str, set[str]] = {}
    for line in psql(site, "postgres", "".join(script)).splitlines():
        table, _, checksum = line.partition("|")
        held.setdefault(table, set())
        if checksum:
            held[table].add(checksum)
    return {table: Holding(frozenset(things)) for table, things in held.items()}


def notebooks(site: Site) -> Holdings:
    """Every notebook on the volume."""
    node = site.own.volume.node if site.own.volume else site.own.entry.name
    lines = site.hosts.script(node, NOTEBOOKS).stdout.splitlines()
    return {"notebooks": Holding(frozenset(lines))}


def objects(settings: Settings) -> Holdings:
    """`container` -> its objects, of the site that has an object store."""
    name = settings.store_site
    found: dict[str, Holding] = {}
    with listing(settings, name).session.asking("list objects") as cloud:
        for container in cloud.object_store.containers():
            if not any(part in container.name for part in MOVING):
                lines = [f"{item.name} {item.etag}" for item in cloud.object_store.objects(container.name)]
                found[container.name] = Holding(frozenset(lines))
    return found


def samples(site: Site, moment: float) -> Holdings:
    """`samples of <site>` -> how many scrapes the ten minutes before a moment (Unix time) had."""
    told = prometheus.query(site.kube, SUMMED % moment)
    return {f"samples of {one.labels['site']}": Holding(frozenset({f"{one.value:.0f} scrapes"})) for one in told}


def differences(before: Holdings, after: Holdings) -> list[str]:
    """What is no longer there as it was, in words."""
    nothing = Holding(frozenset())
    return [
        f"{name}: {len(lost)} of {had.count} lost, such as {min(lost)}"
        for name, had in before.items()
        if (lost := had.things - after.get(name, nothing).things)
    ]


def told(holdings: Holdings) -> str:
    """`mlflow.runs 3 (0a1b2c3d), notebooks 2 (4e5f6a7b)`: what there is any of."""
    return ", ".join(
        f"{name} {holding.count} ({holding.checksum})" for name, holding in holdings.items() if holding.count
    )


def psql(site: Site, database: str, sql: str) -> str:
    """Run SQL over the pod's own socket as the owner of everything."""
    command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-qAt"]
    words = ["exec", "-i", "-n", "data", "statefulset/postgresql", "-c", "postgresql", "--", *command]
    return site.kube.run(*words, stdin=sql).stdout.strip()


def _summed(database: str, table: str) -> str:
    """A line a row, `database.table|checksum`; one without a checksum where there is no row."""
    name = f"{database}.{table}"
    rows = f"FROM public.{table} AS one {OTHERS.get(name, '')}"
    select = f"SELECT '{name}', md5(row_to_json(one)::text) {rows} UNION ALL SELECT '{name}', ''"
    return f"SELECT $select${select}$select$ WHERE to_regclass('public.{table}') IS NOT NULL \\gexec\n"

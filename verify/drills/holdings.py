"""What the platform holds for people, as counts and checksums, so that before and after can be compared.

Rows are read from PostgreSQL itself, files from the volume, objects from the object store, samples from Prometheus: not
through the applications whose data they are.
"""

from __future__ import annotations

import hashlib
import json
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
NOTEBOOKS = "find /mnt/block -name '*.ipynb' -not -path '*/.*' -type f -exec sha256sum {} + | sort -k 2"
# Backups go on by themselves; what else of the object store changes without anybody's doing is named here too.
MOVING = ("backups",)
WINDOW = "10m"
SUMMED = f"sum by (site) (count_over_time(up[{WINDOW}] @ %d))"


@dataclass(frozen=True, slots=True)
class Holding:
    """One kind of thing: how many, and a checksum over all of them."""

    count: int
    checksum: str


Holdings = Mapping[str, Holding]


def rows(site: Site) -> Holdings:
    """`database.table` -> its rows; what an application has not made yet is left out."""
    script = [f"\\connect {base}\n" + "".join(map(_summed, [base] * len(of), of)) for base, of in TABLES.items()]
    told = (line.split("|") for line in psql(site, "postgres", "".join(script)).splitlines())
    return {table: Holding(int(count), checksum) for table, count, checksum in told}


def notebooks(site: Site) -> Holdings:
    """Every notebook on the volume."""
    node = site.own.volume.node if site.own.volume else site.own.entry.name
    lines = site.hosts.script(node, NOTEBOOKS).stdout.splitlines()
    return {"notebooks": Holding(len(lines), _digest(lines))}


def objects(settings: Settings) -> Holdings:
    """`container` -> its objects, of the site that has an object store."""
    name = next(name for name, site in settings.sites.items() if site.containers)
    found: dict[str, Holding] = {}
    with listing(settings, name).session.asking("list objects") as cloud:
        for container in cloud.object_store.containers():
            if not any(part in container.name for part in MOVING):
                lines = [f"{item.name} {item.etag}" for item in cloud.object_store.objects(container.name)]
                found[container.name] = Holding(len(lines), _digest(sorted(lines)))
    return found


def samples(site: Site, moment: float) -> Holdings:
    """`samples of <site>` -> how many scrapes the ten minutes before a moment (Unix time) had."""
    told = prometheus.query(site.kube, SUMMED % moment)
    return {f"samples of {one.labels['site']}": Holding(int(one.value), "") for one in told}


def differences(before: Holdings, after: Holdings) -> list[str]:
    """What is not there as it was, in words. What came on top under a name of its own is no loss."""
    return [
        f"{name}: {had.count} {had.checksum[:8]} -> {now.count} {now.checksum[:8]}"
        for name, had in before.items()
        if (now := after.get(name, Holding(0, "gone"))) != had
    ]


def told(holdings: Holdings) -> str:
    """`mlflow.runs 3, notebooks 2`: what there is any of."""
    return ", ".join(f"{name} {holding.count}" for name, holding in holdings.items() if holding.count)


def psql(site: Site, database: str, sql: str) -> str:
    """Run SQL over the pod's own socket as the owner of everything."""
    command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-qAt"]
    words = ["exec", "-i", "-n", "data", "statefulset/postgresql", "-c", "postgresql", "--", *command]
    return site.kube.run(*words, stdin=sql).stdout.strip()


def _summed(database: str, table: str) -> str:
    """Name, count and checksum of a table's rows, in whatever order they lie."""
    row = "md5(row_to_json(one)::text)"
    digest = f"coalesce(md5(string_agg({row}, '' ORDER BY {row})), '')"
    select = f"SELECT '{database}.{table}', count(*), {digest} FROM public.{table} AS one"
    return f"SELECT $select${select}$select$ WHERE to_regclass('public.{table}') IS NOT NULL \\gexec\n"


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(lines)).encode()).hexdigest()

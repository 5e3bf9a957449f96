"""A seeded cloud, built once and copied ever after: databases, keys, images, passwords of one site.

Keyed by a hash of everything that shapes it (the lock and our own code), so another version never meets old tables.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from provision import say, shell
from rehearsal.clouds import access, process, venv
from rehearsal.clouds.config import environment, render_all
from rehearsal.clouds.layout import Places, Tree, write_tree
from rehearsal.clouds.sites import SITES

FOLDERS = ("db", "log", "run", "state", "images", "staging", "tasks", "fernet", "credential", "locks", "swift")
MIGRATION_S = 600.0
KEEP = ("db", "state", "images", "fernet", "credential", "swift", access.SECRETS_FILE, access.ACCESS_FILE)
_CODE = Path(__file__).resolve().parent
_SHAPING = ("config/*.py", "services/*.py", "sites.py", "access.py", "template.py", "layout.py")


def home(places: Places, name: str) -> Path:
    """Where the template of a site (or the empty `schema` both start from) lies."""
    digest = hashlib.sha256(venv.LOCK.read_bytes())
    for pattern in _SHAPING:
        for file in sorted(_CODE.glob(pattern)):
            digest.update(file.read_bytes())
    return places.cache / "templates" / f"openstack-{digest.hexdigest()[:12]}-{name}"


def tree_at(places: Places, site: str, root: Path) -> Tree:
    """A site's tree with its root somewhere: the live state, or a template being built."""
    return Tree(platform=places.platform, site=site, root=root, state=places.state, cache=places.cache,
                venv=venv.path(places), code=venv.CODE)


def ensure(places: Places) -> None:
    """Both sites' templates, side by side. Cold this takes minutes; nothing is left behind by a build that was killed."""
    missing = [site for site in SITES if not home(places, site).exists()]
    if not missing:
        return
    _clear_stale(places)
    _ensure_schema(places)
    with ThreadPoolExecutor(len(missing)) as pool:
        list(pool.map(lambda site: _build(places, site), missing))


def instantiate(places: Places, tree: Tree) -> None:
    """A fresh state from the template."""
    source = home(places, tree.site)
    fresh = tree.root.with_name(tree.root.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh)
    # The template was built elsewhere; three columns hold absolute paths.
    relocate(fresh, _building(source), tree.root)
    fresh.chmod(0o700)
    fresh.rename(tree.root)


def configure(tree: Tree) -> None:
    """Folders and configuration of a tree; written at every start, since the checkout may have moved on."""
    for folder in FOLDERS:
        tree.file(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    write_tree(tree)
    for name, text in render_all(tree, access.read_secrets(tree)).items():
        file = tree.file("etc", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        access.write_private(file, text)


def relocate(root: Path, before: Path, after: Path) -> None:
    """Rewrite the absolute paths that databases hold, from one root to another."""
    for database, table, column in (("nova_api", "cell_mappings", "database_connection"),
                                    ("glance", "image_locations", "value")):
        connection = sqlite3.connect(root / "db" / f"{database}.db")
        with connection:
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(before), str(after)))
        connection.close()


def _building(template: Path) -> Path:
    return template.with_name(template.name + ".building")


def _clear_stale(places: Places) -> None:
    """Templates of other versions and halves of killed builds."""
    current = {home(places, name) for name in (*SITES, "schema")}
    for folder in (places.cache / "templates").glob("openstack-*"):
        if folder not in current:
            shutil.rmtree(folder, ignore_errors=True)


def _ensure_schema(places: Places) -> None:
    """Empty databases of every service: the same for both sites, and the slow half of a cold start."""
    final = home(places, "schema")
    if final.exists():
        return
    say.line("clouds", "build", "OpenStack databases")
    tree = replace(tree_at(places, "kvm-tacc", _building(final)), state=_building(final))
    shutil.rmtree(tree.root, ignore_errors=True)
    tree.root.mkdir(parents=True, mode=0o700)
    access.write_secrets(tree, access.make_secrets())
    configure(tree)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda commands: _migrate(tree, commands), _migrations(tree)))
    shutil.rmtree(final, ignore_errors=True)
    (tree.root / "db").rename(final)
    shutil.rmtree(tree.root)


def _migrations(tree: Tree) -> Sequence[Sequence[Sequence[str | Path]]]:
    """Commands that make the tables; each inner list runs in order, the lists two at a time, the longest first."""
    etc, tool = tree.file("etc"), tree.venv / "bin"
    nova = [tool / "nova-manage", "--config-file", etc / "nova/nova.conf"]
    schema = [tool / "python", "-m", "rehearsal.clouds.services.schema"]
    return (
        (
            [*nova, "api_db", "sync"],
            [*nova, "cell_v2", "map_cell0", "--database_connection", tree.database("nova_cell0")],
            [*nova, "db", "sync"],
            [*nova, "cell_v2", "create_cell", "--name", "cell1", "--transport-url", "fake://",
             "--database_connection", tree.database("nova")],
        ),
        ([tool / "keystone-manage", "--config-file", etc / "keystone/keystone.conf", "db_sync"],),
        ([tool / "cinder-manage", "--config-file", etc / "cinder/cinder.conf", "db", "sync"],),
        ([tool / "glance-manage", "--config-file", etc / "glance/glance-api.conf", "db_sync"],),
        ([*schema, "neutron", tree.database("neutron")], [*schema, "blazar", tree.database("blazar")]),
        ([tool / "placement-manage", "--config-file", etc / "placement/placement.conf", "db", "sync"],),
    )


def _migrate(tree: Tree, commands: Sequence[Sequence[str | Path]]) -> None:
    for command in commands:
        shell.run(command, deadline_s=MIGRATION_S, env=environment(tree), log=tree.file("log", "migrations.log"),
                  heartbeat="making the OpenStack databases")


def _build(places: Places, site: str) -> None:
    """Start the site on empty databases, fill it over its own APIs, stop it, keep what is worth keeping."""
    final = home(places, site)
    tree = tree_at(places, site, _building(final))
    say.line("clouds", "build", f"template of {site}")
    process.stop(tree)
    shutil.rmtree(tree.root, ignore_errors=True)
    tree.root.mkdir(parents=True, mode=0o700)
    shutil.copytree(home(places, "schema"), tree.file("db"))
    relocate(tree.root, _building(home(places, "schema")), tree.root)
    secrets = access.make_secrets()
    access.write_secrets(tree, secrets)
    configure(tree)
    _make_keys(tree)
    _bootstrap(places, tree, secrets.admin)
    process.start(places, tree, ("keystone",))
    process.wait_ready(tree, ("keystone",), deadline_s=120)
    _seed(places, tree, "identity")
    process.stop(tree)
    process.start(places, tree)
    process.wait_ready(tree, SITES[site].services, deadline_s=300)
    _seed(places, tree, "resources")
    _seed(places, tree, "access")
    process.stop(tree)
    for path in tree.root.iterdir():
        if path.name not in KEEP:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    tree.root.rename(final)


def _make_keys(tree: Tree) -> None:
    """keystone's fernet repositories: key 0 is staged, the highest number is in use."""
    for repository in ("fernet", "credential"):
        for name in ("0", "1"):
            key = base64.urlsafe_b64encode(os.urandom(32)).decode()
            access.write_private(tree.file(repository, name), key)


def _bootstrap(places: Places, tree: Tree, password: str) -> None:
    """The first user, and keystone's own endpoint. The password travels in the environment, never in an argument."""
    site = SITES[tree.site]
    shell.run(
        [tree.venv / "bin/keystone-manage", "--config-file", tree.file("etc/keystone/keystone.conf"), "bootstrap",
         "--bootstrap-admin-url", site.auth_url, "--bootstrap-internal-url", site.auth_url,
         "--bootstrap-public-url", site.auth_url, "--bootstrap-region-id", site.region],
        deadline_s=120, env={**environment(tree), "OS_BOOTSTRAP_PASSWORD": password},
        log=tree.file("log", "bootstrap.log"),
    )


def _seed(places: Places, tree: Tree, stage: str) -> None:
    shell.run(
        [*process.inside(places), tree.venv / "bin/python", "-m", "rehearsal.clouds.services.seed", stage, tree.root],
        deadline_s=300, env=environment(tree), log=tree.file("log", "seed.log"), heartbeat=f"seeding {tree.site}: {stage}",
    )

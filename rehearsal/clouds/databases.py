"""Empty databases of every service: the same for both sites, whatever our code says; the slow half of a cold start."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provision import say, shell
from rehearsal.clouds import access, state, venv
from rehearsal.clouds.config import environment
from rehearsal.clouds.layout import TREE_FILE, Places, Tree, read_tree

MIGRATION_S = 600.0
SITE = "kvm-tacc"
"""Either site would do: it has every service with a database, and its configuration says where they lie."""
_SHAPING = (venv.LOCK, Path(__file__), Path(__file__).parent / "services" / "schema.py")


def home(places: Places) -> Path:
    """Where the empty databases lie, made or not: a tree's root with nothing else in it."""
    return places.cache / "templates" / f"databases-{digest_of(_SHAPING)}"


def copy(empty: Path, tree: Tree) -> None:
    """Give a new tree its databases. They were made at another root, which their own tree file names."""
    shutil.copytree(empty / "db", tree.file("db"))
    state.relocate(tree.root, read_tree(empty).root, tree.root)


def digest_of(files: Sequence[Path]) -> str:
    """Short name for the contents of files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def ensure(places: Places) -> Path:
    """Make them if they are not there."""
    final = home(places)
    if final.exists():
        return final
    root = final.with_name(f"{final.name}.building-{places.platform}")
    say.line("clouds", "build", "OpenStack databases")
    tree = state.tree_at(places, SITE, root)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, mode=0o700)
    access.write_secrets(tree, access.make_secrets())
    state.configure(tree)
    # Two at a time, the longest first.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda commands: _run(tree, commands), _commands(tree)))
    for path in root.iterdir():
        if path.name not in ("db", TREE_FILE):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    state.publish(root, final)
    return final


def _commands(tree: Tree) -> Sequence[Sequence[Sequence[str | Path]]]:
    """What makes the tables; each inner list runs in order."""
    etc, tool = tree.file("etc"), tree.venv / "bin"
    nova: list[str | Path] = [tool / "nova-manage", "--config-file", etc / "nova/nova.conf"]
    schema: list[str | Path] = [tool / "python", "-m", "rehearsal.clouds.services.schema"]
    return (
        (
            [*nova, "api_db", "sync"],
            [*nova, "cell_v2", "map_cell0", "--database_connection", tree.database("nova_cell0")],
            [*nova, "db", "sync"],
            [
                *nova,
                "cell_v2",
                "create_cell",
                "--name",
                "cell1",
                "--transport-url",
                "fake://",
                "--database_connection",
                tree.database("nova"),
            ],
        ),
        ([tool / "keystone-manage", "--config-file", etc / "keystone/keystone.conf", "db_sync"],),
        ([tool / "cinder-manage", "--config-file", etc / "cinder/cinder.conf", "db", "sync"],),
        ([tool / "glance-manage", "--config-file", etc / "glance/glance-api.conf", "db_sync"],),
        ([*schema, "neutron", tree.database("neutron")], [*schema, "blazar", tree.database("blazar")]),
        ([tool / "placement-manage", "--config-file", etc / "placement/placement.conf", "db", "sync"],),
    )


def _run(tree: Tree, commands: Sequence[Sequence[str | Path]]) -> None:
    for command in commands:
        shell.run(
            command,
            deadline_s=MIGRATION_S,
            env=environment(tree),
            log=tree.file("log", "migrations.log"),
            heartbeat="making the OpenStack databases",
        )

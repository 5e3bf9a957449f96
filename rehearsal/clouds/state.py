"""A tree's files: where they lie, what is written at every start, what must change when they move."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from provision.errors import PreconditionMissing
from rehearsal.clouds import access, venv
from rehearsal.clouds.config import render_all
from rehearsal.clouds.layout import TREE_FILE, Places, Tree, read_tree, write_tree

FOLDERS = ("db", "log", "run", "state", "images", "staging", "tasks", "fernet", "credential", "locks", "swift")
_MOVING = (("nova_api", "cell_mappings", "database_connection"), ("glance", "image_locations", "value"))
"""Database, table and column of every absolute path that a database holds."""


def tree_at(places: Places, site: str, root: Path) -> Tree:
    """A site's tree with its root somewhere: the live state, or a template being built."""
    return Tree(
        platform=places.platform,
        site=site,
        root=root,
        state=places.state,
        cache=places.cache,
        venv=venv.path(places),
        code=venv.CODE,
    )


def configure(tree: Tree) -> None:
    """Folders and configuration; written at every start, since the checkout may have moved on."""
    for folder in FOLDERS:
        tree.file(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    write_tree(tree)
    for name, text in render_all(tree, access.read_secrets(tree)).items():
        file = tree.file("etc", name)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        access.write_private(file, text)
    if tree.file("etc/nova").exists():
        # nova looks for this one beside its configuration and nowhere else.
        shutil.copy(tree.venv / "etc/nova/api-paste.ini", tree.file("etc/nova/api-paste.ini"))


def refuse_other_version(tree: Tree) -> None:
    """Databases are never migrated here: a state that another lock made is refused, with the way out."""
    if not tree.file(TREE_FILE).exists():
        return
    made_by = read_tree(tree.root).venv.name
    if made_by != tree.venv.name:
        raise PreconditionMissing(
            f"the state of {tree.site} was made by other OpenStack versions",
            why=f"{made_by} then, {tree.venv.name} now",
            next="invoke rehearsal.reset",
        )


def publish(built: Path, final: Path) -> None:
    """A finished build becomes visible at once; if another platform was quicker, its equal one stays."""
    if final.exists():
        shutil.rmtree(built)
    else:
        built.rename(final)


def relocate(root: Path, before: Path, after: Path) -> None:
    """Rewrite the absolute paths in the databases below `root`, from one root to another."""
    for database, table, column in _MOVING:
        connection = sqlite3.connect(root / "db" / f"{database}.db")
        with connection:
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(before), str(after)))
        connection.close()

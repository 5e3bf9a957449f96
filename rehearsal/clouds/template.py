"""A seeded cloud, built once and copied ever after: databases, keys, images, passwords of one site.

Keyed by a hash of what shapes it (the lock, our configuration and seeding), so another version never meets old tables.
"""

from __future__ import annotations

import base64
import functools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provision import say, shell
from rehearsal.clouds import access, databases, process, state, venv
from rehearsal.clouds.config import environment
from rehearsal.clouds.layout import TREE_FILE, Places, Tree, read_tree
from rehearsal.clouds.sites import SITES

KEEP = ("db", "state", "images", "fernet", "credential", "swift", access.SECRETS_FILE, access.ACCESS_FILE, TREE_FILE)
START_S = 300.0
SEED_S = 300.0
_CODE = Path(__file__).resolve().parent
_SHAPING = (
    "config/*.py",
    "services/seed.py",
    "services/inventory.py",
    "access.py",
    "catalogue.py",
    "databases.py",
    "layout.py",
    "sites.py",
    "template.py",
)


@functools.cache
def home(places: Places, site: str) -> Path:
    """Where the template of a site lies, built or not. One answer a process, even if the code is edited meanwhile."""
    files = [file for pattern in _SHAPING for file in sorted(_CODE.glob(pattern))]
    return places.cache / "templates" / f"openstack-{databases.digest_of([venv.LOCK, *files])}-{site}"


def ensure(places: Places) -> None:
    """Both sites' templates, side by side. Cold this takes minutes; what a killed build left is cleared by the next."""
    missing = [site for site in SITES if not home(places, site).exists()]
    if not missing:
        return
    empty = databases.ensure(places)
    _clear_stale(places)
    with ThreadPoolExecutor(len(missing)) as pool:
        list(pool.map(lambda site: _build(places, site, empty), missing))


def instantiate(places: Places, tree: Tree) -> None:
    """A fresh state from the template; it appears whole or not at all."""
    source = home(places, tree.site)
    fresh = tree.root.with_name(tree.root.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh)
    # It was built elsewhere, and knows where.
    state.relocate(fresh, read_tree(fresh).root, tree.root)
    fresh.chmod(0o700)
    fresh.rename(tree.root)


def list_builds(places: Places) -> list[Tree]:
    """Trees of this platform's template builds: one that was killed may still run, and hold the sites' ports."""
    files = (places.cache / "templates").glob(f"*.building-{places.platform}/{TREE_FILE}")
    return [read_tree(file.parent) for file in files]


def _clear_stale(places: Places) -> None:
    """Builds that were killed, and templates of other versions."""
    for tree in list_builds(places):
        process.stop(tree)
        shutil.rmtree(tree.root)
    current = {home(places, site) for site in SITES} | {databases.home(places)}
    folder = places.cache / "templates"
    for old in (*folder.glob("openstack-*"), *folder.glob("databases-*")):
        if old not in current and ".building-" not in old.name:
            shutil.rmtree(old)


def _build(places: Places, site: str, empty: Path) -> None:
    """Start the site on empty databases, fill it over its own APIs, stop it, keep what is worth keeping."""
    final = home(places, site)
    tree = state.tree_at(places, site, final.with_name(f"{final.name}.building-{places.platform}"))
    say.line("clouds", "build", f"template of {site}")
    shutil.rmtree(tree.root, ignore_errors=True)
    tree.root.mkdir(parents=True, mode=0o700)
    databases.copy(empty, tree)
    try:
        _fill(places, tree)
    finally:
        process.stop(tree)
    for path in tree.root.iterdir():
        if path.name not in KEEP:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    state.publish(tree.root, final)


def _fill(places: Places, tree: Tree) -> None:
    """Identity with only keystone running: the other services look for their own user as soon as they start."""
    secrets = access.make_secrets()
    access.write_secrets(tree, secrets)
    state.configure(tree)
    _make_keys(tree)
    _bootstrap(tree, secrets.admin)
    process.start(places, tree, ("keystone",))
    process.wait_ready(tree, ("keystone",), deadline_s=START_S)
    _seed(places, tree, "identity")
    process.stop(tree)
    process.start(places, tree)
    process.wait_ready(tree, SITES[tree.site].services, deadline_s=START_S)
    _seed(places, tree, "resources")
    _seed(places, tree, "access")


def _make_keys(tree: Tree) -> None:
    """keystone's fernet repositories: key 0 is staged, the highest number is in use."""
    for repository in ("fernet", "credential"):
        for name in ("0", "1"):
            key = base64.urlsafe_b64encode(os.urandom(32)).decode()
            access.write_private(tree.file(repository, name), key)


def _bootstrap(tree: Tree, password: str) -> None:
    """The first user, and keystone's own endpoint. The password travels in the environment, never in an argument."""
    site = SITES[tree.site]
    shell.run(
        [
            tree.venv / "bin/keystone-manage",
            "--config-file",
            tree.file("etc/keystone/keystone.conf"),
            "bootstrap",
            "--bootstrap-admin-url",
            site.auth_url,
            "--bootstrap-internal-url",
            site.auth_url,
            "--bootstrap-public-url",
            site.auth_url,
            "--bootstrap-region-id",
            site.region,
        ],
        deadline_s=SEED_S,
        env={**environment(tree), "OS_BOOTSTRAP_PASSWORD": password},
        log=tree.file("log", "bootstrap.log"),
    )


def _seed(places: Places, tree: Tree, stage: str) -> None:
    shell.run(
        [*process.inside(places), tree.venv / "bin/python", "-m", "rehearsal.clouds.services.seed", stage, tree.root],
        deadline_s=SEED_S,
        env=environment(tree),
        log=tree.file("log", "seed.log"),
        heartbeat=f"seeding {tree.site}: {stage}",
    )

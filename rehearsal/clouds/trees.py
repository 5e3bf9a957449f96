"""The door of the rehearsal clouds: what rehearsal.up, down, destroy and status call.

Order matters to the callers: the network comes before `up`; `stop` comes before the hosts are stopped, or nova sees
them go and writes them off as shut down.
"""

from __future__ import annotations

import shutil

from provision import say
from rehearsal.clouds import access, loops, process, state, template, venv
from rehearsal.clouds.layout import Places, Tree
from rehearsal.clouds.sites import SITES

__all__ = ["Places", "destroy", "is_up", "leftovers", "prepare", "start", "stop", "up", "wait_ready"]

READY_S = 180.0


def up(places: Places) -> None:
    """Both clouds serving, and the files a user of them holds. An existing state is taken up again as it was left."""
    prepare(places)
    for site in SITES:
        start(places, site)
    for site in SITES:
        wait_ready(places, site)
    access.hand_out(places, {site: access.read_access(places.root(site)) for site in SITES})


def prepare(places: Places) -> None:
    """The environment and both templates. Needs the sealed network: services answer there while they are filled."""
    venv.ensure(places)
    if not all(places.root(site).exists() for site in SITES):
        template.ensure(places)


def start(places: Places, site: str) -> None:
    """Spawn one site's tree unless it runs; a state that does not exist yet is copied from the template."""
    tree = _tree(places, site)
    if process.find_pid(tree) is not None:
        return
    process.stop(tree)  # a killed parent's services may still hold the ports
    state.refuse_other_version(tree)
    if not tree.root.exists():
        tree.root.parent.mkdir(parents=True, exist_ok=True)
        template.instantiate(places, tree)
    places.volumes.mkdir(parents=True, exist_ok=True)
    state.configure(tree)
    process.start(places, tree)
    say.line("clouds", "start", site)


def wait_ready(places: Places, site: str, *, deadline_s: float = READY_S) -> None:
    """Until every service of a site listens. Raises DeadlineExceeded naming the missing, DeadState if the tree died."""
    process.wait_ready(_tree(places, site), SITES[site].services, deadline_s=deadline_s)


def is_up(places: Places, site: str) -> bool:
    """Whether a site's tree lives and all its services listen."""
    tree = _tree(places, site)
    return process.find_pid(tree) is not None and all(process.is_serving(tree, name) for name in SITES[site].services)


def stop(places: Places) -> None:
    """Both trees, cleanly, and what a killed `prepare` left running; the state stays for the next `up`."""
    for tree in _trees(places):
        process.stop(tree)


def destroy(places: Places) -> None:
    """Stop, and remove state, volumes and credentials. Hosts and networks are removed by their owners, afterwards."""
    stop(places)
    for image in places.volumes.glob("*.img"):
        loops.detach(image)
    for folder in (places.state / "clouds", places.volumes):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (places.clouds_file, places.ec2_file):
        file.unlink(missing_ok=True)


def leftovers(places: Places) -> list[str]:
    """What of ours still exists, in words; empty after `destroy`."""
    found = [f"process {pid} of {tree.root}" for tree in _trees(places) for pid in process.list_strays(tree.root)]
    found += [f"loop device of {image}" for image in loops.list_below(places.volumes)]
    found += [
        str(path)
        for path in (places.state / "clouds", places.volumes, places.clouds_file, places.ec2_file)
        if path.exists()
    ]
    return found


def _tree(places: Places, site: str) -> Tree:
    return state.tree_at(places, site, places.root(site))


def _trees(places: Places) -> list[Tree]:
    return [*(_tree(places, site) for site in SITES), *template.list_builds(places)]

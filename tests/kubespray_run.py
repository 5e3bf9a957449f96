"""Kubespray itself over the inventories of both environments, without any host: `nox -s kubespray`.

Syntax of every playbook that tandem starts; its own validate_inventory; and that what it would fetch, file by file with
its sum, and pull, is what cluster/kubespray.lock says. Ends with a table; exit code 1 if a row is red.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from provision import ansible, checkout, cluster, kubespray, shell
from provision.errors import PlatformError
from provision.settings import ENVIRONMENTS, parse

RUN_S = 300.0
LIST = Path(__file__).with_name("kubespray_downloads.yml")
OF_KUBEADM = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
"""Pulled by kubeadm, so that Kubespray's own list lacks them."""
NODE_GROUPS = {"kube_control_plane", "kube_node", "k8s_cluster", "etcd"}
Row = tuple[str, str, str, float, str]


def main() -> int:
    """Every row, as it becomes known."""
    tree, red = checkout.obtain(), 0
    with TemporaryDirectory(prefix="tandem-kubespray-") as folder:
        for env, site, what, seconds, fault in rows(tree, Path(folder)):
            print(f"{env:<10} {site:<9} {what:<36} {seconds:6.1f}s  {fault or 'ok'}", flush=True)  # noqa: T201
            red += bool(fault)
    print(f"{tree}: {red} red")  # noqa: T201
    return 1 if red else 0


def rows(tree: Path, folder: Path) -> Iterator[Row]:
    """environment, site, what, seconds, and what is wrong or ''."""
    for path in sorted(ENVIRONMENTS.glob("*.toml")):
        settings = parse(path, path.read_text(), env=path.stem, platform="case")
        for site in settings.sites:
            hosts = written(
                folder / settings.env / site, cluster.render(settings, site, cluster.NO_CONFIG, "kubespray")
            )
            answer = hosts.parent / "answer"
            answer.mkdir()
            plays = [cluster.AROUND / f"{name}.yml" for name in kubespray.DEADLINE_S]
            run = runner(tree, hosts, folder)
            for what, call in (
                (f"syntax of {len(plays)} playbooks", lambda run=run, plays=plays: run("--syntax-check", *plays)),
                ("validate_inventory", lambda run=run: run(tree / "playbooks" / "boilerplate.yml")),
                ("downloads", lambda run=run, answer=answer: downloads(run, answer)),
            ):
                started = time.monotonic()
                fault = attempted(call)
                yield settings.env, site, what, time.monotonic() - started, fault


def attempted(call: Callable[[], object]) -> str:
    """'' or the last lines of what went wrong."""
    try:
        call()
    except PlatformError as error:
        return f"{error.what}\n{error.why}"
    except AssertionError as error:
        return str(error)
    return ""


def runner(tree: Path, hosts: Path, folder: Path) -> Callable[..., shell.Result]:
    """ansible-playbook as tandem starts it, over one inventory."""
    kit = kubespray.kit(tree, folder / "facts")
    env = {**kit.env, "ANSIBLE_CONFIG": str(kit.config), "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    program = ansible.install(kit.lock) / "ansible-playbook"

    def run(*words: str | Path) -> shell.Result:
        said = [program, "-i", hosts, *kubespray.words(tree, sealed=False), "-e", "node=none", *words]
        return shell.run(said, deadline_s=RUN_S, env=env)

    return run


def downloads(run: Callable[..., shell.Result], answer: Path) -> None:
    """Kubespray's own list against the lock."""
    run("-e", f"answer={answer}", LIST)
    told = [json.loads(path.read_text()) for path in sorted(answer.glob("*.json"))]
    found = {
        (suffix(file["url"]), file["checksum"].removeprefix("sha256:")) for one in told for file in due(one, "files")
    }
    wanted = {(file.path, file.sha256) for file in checkout.lock().files}
    assert found == wanted, differing(found, wanted)
    pulled = {f"{image['repo']}:{image['tag']}" for one in told for image in due(one, "images")}
    locked = {image for image in checkout.lock().images if not any(f"/{name}:" in image for name in OF_KUBEADM)}
    assert pulled == locked, differing(pulled, locked)


def due(told: Any, kind: str) -> list[Any]:
    """What a host in its groups fetches."""
    return [item for item in told[kind] if set(item["groups"]) & (set(told["groups"]) | {"k8s_cluster"}) & NODE_GROUPS]


def suffix(url: str) -> str:
    """A URL without what differs between the vendors and a mirror."""
    return next(url[url.index(host) :] for host in ("dl.k8s.io", "github.com") if host in url)


def differing(found: set[Any], wanted: set[Any]) -> str:
    """Both directions."""
    return f"only Kubespray: {sorted(found - wanted)}; only the lock: {sorted(wanted - found)}"


def written(folder: Path, files: Any) -> Path:
    """An inventory on disk; returns its hosts file."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / cluster.HOSTS


if __name__ == "__main__":
    sys.exit(main())

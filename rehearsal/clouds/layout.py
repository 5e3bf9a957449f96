"""Where things of the rehearsal clouds lie, and the handful of facts every process of a tree must agree on. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

PORTS: Mapping[str, int] = {
    "keystone": 5000,
    "placement": 8778,
    "nova": 8774,
    "neutron": 9696,
    "cinder": 8776,
    "glance": 9292,
    "blazar": 1234,
    "swift": 8080,
}
ACCOUNTING_PORT = 8781
"""Where Blazar asks whether a lease can be paid; in no catalogue."""
TREE_FILE = "tree.json"
PID_FILE = "tree.pid"


@dataclass(frozen=True, slots=True)
class Places:
    """Where one platform's clouds live. Nothing below this reads the environment.

    state: live state, /var/lib/tandem/<platform>. cache: what can be built again. config: keys, outside the checkout.
    """

    platform: str
    state: Path
    cache: Path
    config: Path

    @property
    def netns(self) -> Path:
        """The sealed network namespace that every process of the trees runs in."""
        return Path("/run/netns") / f"tandem-{self.platform}"

    @property
    def volumes(self) -> Path:
        """Sparse files of the block store."""
        return self.state / "volumes"

    def root(self, site: str) -> Path:
        """Root of one site's tree: configuration, databases, logs, object store."""
        return self.state / "clouds" / site

    @property
    def clouds_file(self) -> Path:
        """The clouds.yaml that tandem reads."""
        return self.config / "clouds.yaml"

    @property
    def ec2_file(self) -> Path:
        """The S3 key of chi-uc's user, as a Chameleon user would keep it after `openstack ec2 credential create`."""
        return self.config / "ec2-chi-uc.json"


@dataclass(frozen=True, slots=True)
class Tree:
    """One site's process tree, as its own processes see it.

    root: the tree's folder. state: the platform's live state (hosts, volumes). cache: roots of host images.
    venv: the OpenStack environment. code: the checkout that holds `rehearsal` and `provision`.
    """

    platform: str
    site: str
    root: Path
    state: Path
    cache: Path
    venv: Path
    code: Path

    def file(self, *parts: str) -> Path:
        """A path under the tree's root."""
        return self.root.joinpath(*parts)

    def database(self, name: str) -> str:
        """SQLAlchemy address of one SQLite file; it waits up to a minute for another writer."""
        return f"sqlite:///{self.file('db', name + '.db')}?timeout=60"

    @property
    def pid_file(self) -> Path:
        """Pid of the tree's parent process."""
        return self.file(PID_FILE)

    def ready_file(self, service: str) -> Path:
        """Written by a service, with its pid, once its port listens."""
        return self.file("run", service + ".ready")

    def deaths_file(self, service: str) -> Path:
        """How often a service has died in a row under the present parent; absent means never."""
        return self.file("run", service + ".deaths")

    @property
    def faults_file(self) -> Path:
        """Injected faults; absent means none."""
        return self.file("faults.json")


def write_tree(tree: Tree) -> None:
    """Leave the tree's facts where its processes look for them."""
    tree.root.mkdir(parents=True, exist_ok=True)
    text = json.dumps({key: str(value) for key, value in asdict(tree).items()}, indent=2)
    tree.file(TREE_FILE).write_text(text + "\n")


def read_tree(root: Path) -> Tree:
    """The tree whose root this is."""
    facts = json.loads((root / TREE_FILE).read_text())
    paths = {key: Path(facts[key]) for key in ("root", "state", "cache", "venv", "code")}
    return Tree(platform=facts["platform"], site=facts["site"], **paths)

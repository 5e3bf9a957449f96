"""swift: proxy, account, container and object servers of one device, in one eventlet process that `python -m` starts.

eventlet must patch the interpreter before anything else is imported, so it cannot be forked from the services' parent.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from eventlet import wsgi as server  # noqa: E402

from rehearsal.clouds.config.storage import LOOPBACK, SWIFT_BACKENDS  # noqa: E402
from rehearsal.clouds.layout import PORTS, Tree, read_tree  # noqa: E402
from rehearsal.clouds.sites import SITES  # noqa: E402

DEVICE = "d1"
BACKLOG = 256


def main() -> None:
    """Make the rings if there are none, then serve for ever."""
    tree = read_tree(Path(sys.argv[1]))
    etc = tree.file("etc/swift")
    tree.file("swift", DEVICE).mkdir(parents=True, exist_ok=True)
    _point_to(etc / "swift.conf")
    _make_rings(etc)
    for name, port in SWIFT_BACKENDS.items():
        _listen(etc / f"{name}.conf", LOOPBACK, port)
    proxy = _listen(etc / "proxy.conf", str(SITES[tree.site].address), PORTS["swift"])
    _announce(tree)
    proxy.wait()


def _point_to(conf: Path) -> None:
    """Swift reads /etc/swift/swift.conf; three modules keep that name."""
    import swift.common.storage_policy
    import swift.common.utils
    import swift.common.utils.config

    for module in (swift.common.utils, swift.common.utils.config, swift.common.storage_policy):
        if hasattr(module, "SWIFT_CONF_FILE"):
            module.SWIFT_CONF_FILE = str(conf)


def _make_rings(etc: Path) -> None:
    from swift.common.ring import RingBuilder

    for name, port in SWIFT_BACKENDS.items():
        ring = etc / f"{name}.ring.gz"
        if ring.exists():
            continue
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
        builder.add_dev(
            {
                "id": 0,
                "region": 1,
                "zone": 1,
                "ip": LOOPBACK,
                "port": port,
                "device": DEVICE,
                "weight": 1,
                "meta": "",
                "replication_ip": LOOPBACK,
                "replication_port": port,
            }
        )
        builder.rebalance()
        builder.get_ring().save(str(ring))


def _listen(conf: Path, address: str, port: int) -> eventlet.greenthread.GreenThread:
    from swift.common.wsgi import loadapp

    socket = eventlet.listen((address, port), backlog=BACKLOG)
    return eventlet.spawn(server.server, socket, loadapp(str(conf)), log_output=False)


def _announce(tree: Tree) -> None:
    from rehearsal.clouds.services import wsgi

    wsgi.announce(tree, "swift")


if __name__ == "__main__":
    main()

"""`python -m rehearsal.csi controller|node`: serve until told to stop.

Node: mounts of an earlier pod come first, then the kubelet is told. Mounts stay when we stop: pods still use them until
our container is gone, and the next one mounts them again.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from rehearsal.csi import services
from rehearsal.csi.mounts import Mounts

THREADS = 4


def main() -> int:
    """0 after SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.csi")
    parser.add_argument("role", choices=["controller", "node"])
    parser.add_argument("--socket", type=Path, required=True, help="where to listen for CSI")
    parser.add_argument("--node", default="", help="this node's name")
    parser.add_argument("--remembered", type=Path, help="folder of the host's memory for what is mounted")
    parser.add_argument("--registration", type=Path, help="folder in which the kubelet looks for plugins")
    parser.add_argument("--kubelet-socket", default="", help="--socket as the kubelet sees it")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    if args.role == "controller":
        servers = [serve(args.socket, services.identity(), services.controller())]
    else:
        mounts = Mounts(args.remembered)
        mounts.restore()
        servers = [
            serve(args.socket, services.identity(), services.node(args.node, mounts)),
            serve(args.registration / f"{services.NAME}-reg.sock", services.registration(args.kubelet_socket)),
        ]
    over.wait()
    for server in servers:
        server.stop(grace=2).wait()
    return 0


def serve(path: Path, *handlers: grpc.GenericRpcHandler) -> grpc.Server:
    """Listen on a Unix socket, in place of what an earlier process left there."""
    path.unlink(missing_ok=True)
    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=handlers)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server


if __name__ == "__main__":
    sys.exit(main())

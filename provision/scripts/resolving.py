"""Runs on a host, by its own interpreter: its pods' resolvers, and what cluster DNS answers for one name."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import sys
from pathlib import Path

asked = json.load(sys.stdin)


def resolv_conf(configs: list[str]) -> str:
    """The file that the kubelet hands to pods that do not use cluster DNS: CoreDNS is one."""
    texts = (Path(config).read_text() for config in configs if Path(config).is_file())
    named = (re.search(r'^resolvConf:\s*"?([^"\s]+)', text, re.M) for text in texts)
    return next((found.group(1) for found in named if found), "/etc/resolv.conf")


def resolvers(path: str) -> list[str]:
    """The addresses a resolv.conf names."""
    try:
        return re.findall(r"^nameserver\s+([0-9.]+)\s*$", Path(path).read_text(), re.M)
    except OSError:
        return []


def look_up(server: str, name: str) -> list[str]:
    """The IPv4 addresses of a name, by one question over UDP; none when nothing answers within two seconds."""
    number = int.from_bytes(os.urandom(2), "big")
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        try:
            sock.sendto(question, (server, 53))
            answer = sock.recv(4096)
        except OSError:
            return []
    # After a record's name: type A, class IN, time to live, length 4.
    records = re.finditer(rb"\x00\x01\x00\x01....\x00\x04(....)", answer[len(question) :], re.S)
    return [socket.inet_ntoa(record.group(1)) for record in records] if answer[:2] == question[:2] else []


path = resolv_conf(asked["configs"])
json.dump({"path": path, "resolvers": resolvers(path), "answers": look_up(asked["server"], asked["name"])}, sys.stdout)

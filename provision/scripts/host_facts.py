"""Runs on a host, by its own interpreter: room, limits, clock, and which of the tools asked for are not there."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

asked = json.load(sys.stdin)
disk = os.statvfs("/var/lib")
told = {
    "python": sys.version_info[:2],
    "free_gib": disk.f_bavail * disk.f_frsize / 2**30,
    "free_percent": 100 * disk.f_bavail / disk.f_blocks,
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    "clock": time.time(),
    "lacks": [tool for tool in asked["tools"] if not shutil.which(tool, path=PATH)],
}
json.dump(told, sys.stdout)

"""The tasks. Each parses its options, calls one function, prints.

`invoke --help provision.<step>` prints the step's runbook, which is its module's docstring.
"""

from __future__ import annotations

import os

from invoke import Collection, Context, task

from invocation import applications, leases, provisioning, rehearsing
from invocation.frame import COMMON, finish
from provision.paths import cache_dir

# kubectl, helm and sops as the rehearsal resolves them come before whatever else the machine has.
os.environ["PATH"] = f"{cache_dir() / 'tools'}{os.pathsep}{os.environ.get('PATH', '')}"


@task(help={"env": COMMON["env"], "live": "also ask the clouds", "json": COMMON["json"]})
def doctor(_c: Context, env: str = "", live: bool = False, json: bool = False) -> None:
    """What is wrong with this machine, these settings, these credentials, and what to type next."""
    from provision import doctor as examination

    finish(lambda: examination.run(env, live=live), json)


namespace = Collection(
    provisioning.collection(), leases.collection(), rehearsing.collection(), *applications.collections(), doctor=doctor
)

"""The tasks. Each parses its options, calls one function, prints.

`invoke --help provision.<step>` prints the step's runbook, which is its module's docstring.
"""

from __future__ import annotations

import os

from invoke import Collection, Context, task

from invocation import applications, clusters, leases, provisioning, rehearsing
from invocation.frame import finish, help, options
from provision.paths import cache_dir

# kubectl, helm and sops as the rehearsal resolves them come before whatever else the machine has.
os.environ["PATH"] = f"{cache_dir() / 'tools'}{os.pathsep}{os.environ.get('PATH', '')}"


@task(help=help("env", "platform", "yes", "json", live="then the smallest lease there is: booted, reached, removed"))
def doctor(
    _c: Context, env: str = "", platform: str = "", yes: bool = False, json: bool = False, live: bool = False
) -> None:
    """What is wrong with this machine, these credentials, this lease, and what to type next; asks, changes nothing."""
    from provision import doctor as examination

    finish(lambda: examination.run(options(env, "", platform, yes, json), live=live), json)


namespace = Collection(
    provisioning.collection(),
    clusters.collection(),
    leases.collection(),
    rehearsing.collection(),
    *applications.collections(),
    doctor=doctor,
)

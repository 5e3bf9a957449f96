"""Every fault by its name: what happens, where, and how it is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.faults.credential import Locked, WrongSecret
from rehearsal.faults.effects import AllocationOver, Effect, Frozen, Keys, Killed
from rehearsal.faults.provider import (
    AddressTaken,
    AllAddressesLeased,
    AllHostsLeased,
    FirewallOff,
    FlavorHidden,
    IdleReaper,
    LeasesEnd,
    Quota,
)

KVM, UC = "kvm-tacc", "chi-uc"
GPU_ADDRESS = "10.32.1.11"
"""Of the GPU node in environments/rehearsal.toml; a test compares them."""
SLOW = {"error": {"code": 429, "message": "Too many requests"}}
HTML = "<html><head><title>503 Service Unavailable</title></head><body>No server is available.</body></html>"
NO_TOKEN = "<html><head><title>401 Unauthorized</title></head><body>This server could not verify you.</body></html>"
NOT_FOUND = {"NeutronError": {"type": "HTTPNotFound", "message": "The resource could not be found.", "detail": ""}}


@dataclass(frozen=True)
class Fault:
    """One fault. about: what happens, in a sentence. once: it happens and is over; there is nothing to switch off."""

    name: str
    site: str
    about: str
    effect: Effect
    once: bool = False


def _says(service: str, status: str, body: object, **more: Any) -> Keys:
    """A service that answers otherwise."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Keys({"answers": [{"service": service, "status": status, "body": text, **more}]})


_FAULTS = (
    # Chameleon's rules
    Fault("lease-too-long", UC, "no lease longer than a day is granted", Keys({"max_lease_s": 86400})),
    Fault("no-extension", UC, "no lease is extended any more", Keys({"extension_window_s": 0})),
    Fault("no-su", UC, "the project has 30 SU left", Keys({"balance_su": 30})),
    Fault("no-budget", UC, "the user has 30 SU left", Keys({"budget_su": 30})),
    Fault("allocation-over", UC, "the allocation ends tomorrow", AllocationOver(24)),
    Fault("no-private-flavor", KVM, "the project may not use its reservation's flavor", FlavorHidden()),
    Fault("lease-ends", UC, "the leases of servers end within two minutes", LeasesEnd(1), once=True),
    Fault("lease-ends-soon", UC, "the leases of servers end in three hours", LeasesEnd(180), once=True),
    Fault("idle-reaper", UC, "leases of hosts without servers are taken back", IdleReaper(), once=True),
    Fault(
        "no-security-groups",
        KVM,
        "the site has no security groups",
        _says("neutron", "404 Not Found", NOT_FOUND, path="/security-groups"),
    ),
    Fault("no-volumes", KVM, "the site has no Cinder", Keys({"hidden": ["block-storage", "volumev3"]})),
    Fault("firewall-off", UC, "hosts have lost their firewall", FirewallOff(), once=True),
    Fault("no-addresses", KVM, "another project has all floating IPs", AllAddressesLeased()),
    Fault("address-taken", UC, "another project has the GPU node's address", AddressTaken(GPU_ADDRESS)),
    Fault("slow-deploy", KVM, "every deploy takes 40 seconds longer", Keys({"spawn_delay_s": 40})),
    Fault("never-boots", KVM, "servers are ACTIVE and never answer", Keys({"silent": ["."]})),
    Fault("wrong-credential", KVM, "the application credential's secret is wrong", WrongSecret()),
    Fault("account-locked", KVM, "the account is disabled after repeated refusals", Locked()),
    # What the services themselves do
    Fault("no-hosts", UC, "another project has all hosts of the node type", AllHostsLeased("gpu_rtx_6000")),
    Fault("lease-race", UC, "the next lease of hosts fails at its start", Keys({"starts_fail": 1})),
    Fault("lease-fails", UC, "every lease of hosts fails at its start", Keys({"starts_fail": 99})),
    Fault("deploy-fails", KVM, "every server ends in ERROR", Keys({"spawn_fail": ["."]})),
    Fault("quota-servers", KVM, "the project may have one server", Quota("compute", {"instances": 1})),
    Fault("quota-volumes", KVM, "the project may have 10 GiB of volumes", Quota("block_storage", {"gigabytes": 10})),
    Fault("quota-ports", KVM, "the project may have one port", Quota("network", {"port": 1})),
    Fault("nova-killed", KVM, "nova dies and comes back", Killed("nova")),
    Fault("placement-frozen", KVM, "placement does not answer for 15 s", Frozen("placement", 15)),
    Fault("keystone-frozen", KVM, "keystone takes requests and does not answer", Frozen("keystone")),
    Fault("keystone-down", KVM, "keystone is unavailable", _says("keystone", "503 Service Unavailable", HTML)),
    Fault(
        "token-unknown",
        KVM,
        "nova cannot check tokens and answers 401",
        _says("nova", "401 Unauthorized", NO_TOKEN, path="/v2"),
    ),
    Fault(
        "rate-limited",
        UC,
        "blazar answers 429, twice",
        _says("blazar", "429 Too Many Requests", SLOW, headers={"Retry-After": "2"}, times=2),
    ),
    Fault(
        "busy",
        UC,
        "blazar answers 503 with Retry-After, twice",
        _says("blazar", "503 Service Unavailable", HTML, headers={"Retry-After": "2"}, times=2, method="GET"),
    ),
    Fault("unavailable", UC, "blazar answers 503 and no time", _says("blazar", "503 Service Unavailable", HTML)),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _FAULTS}

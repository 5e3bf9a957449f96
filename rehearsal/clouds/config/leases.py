"""blazar."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rehearsal.clouds.config.compute import FREEPOOL
from rehearsal.clouds.config.ini import Section, render
from rehearsal.clouds.config.shared import SERVICE_USER, Subject, database, default, oslo, token_check
from rehearsal.clouds.layout import ACCOUNTING_PORT, PORTS
from rehearsal.clouds.sites import EXTENSION_WINDOW_S

OPEN = ("blazar:oshosts:get", "blazar:oshosts:get_allocations")
IDENTITY_PREFIX = "identity"
"""Blazar puts a path before `/v3`; an empty one becomes `//v3`. keystone here answers under this one too."""


def blazar(subject: Subject) -> Mapping[str, str]:
    """blazar.conf and where Chameleon is more open than upstream: users may list hosts, and when they are taken."""
    site = subject.site
    endpoints = {"endpoint_type": "public"}
    sections: dict[str, Section] = {
        "DEFAULT": {
            **default(subject, "blazar"),
            "host": str(site.address),
            "port": PORTS["blazar"],
            "os_auth_protocol": "http",
            "os_auth_host": str(site.address),
            "os_auth_port": PORTS["keystone"],
            "os_auth_prefix": IDENTITY_PREFIX,
            "os_auth_version": "v3",
            "os_admin_username": SERVICE_USER,
            "os_admin_password": subject.secrets.service,
            "os_admin_project_name": "service",
            "os_region_name": site.region,
            "identity_service": "identity",
            "enable_v1_api": True,
            # Two lease creations at once can be given the same host (one then ends in ERROR): one at a time.
            "executor_thread_pool_size": 1,
        },
        **oslo(subject),
        "keystone_authtoken": token_check(subject),
        "manager": {
            "plugins": ",".join(site.lease_plugins),
            "minutes_before_end_lease": 0,
            "event_max_retries": 1,
        },
        "nova": {**endpoints, "aggregate_freepool_name": FREEPOOL},
        "neutron": endpoints,
        "placement": endpoints,
        "keystone": endpoints,
        "enforcement": _enforcement(subject),
        "database": database(subject, "blazar"),
        "oslo_policy": {"policy_file": subject.tree.file("etc/blazar/policy.yaml")},
    }
    # JSON is YAML.
    return {"blazar.conf": render(sections), "policy.yaml": json.dumps(dict.fromkeys(OPEN, "")) + "\n"}


def _enforcement(subject: Subject) -> Section:
    """Chameleon's rules of leases. services/lease_rules.py is upstream's two filters as one; it asks accounting.py."""
    site = subject.site
    return {
        "enabled_filters": "LeaseRules",
        "max_lease_duration": site.max_lease_s,
        "reservation_extension_window": EXTENSION_WINDOW_S,
        "external_service_base_endpoint": f"http://{site.address}:{ACCOUNTING_PORT}/",
        "external_service_token": subject.secrets.service,
    }

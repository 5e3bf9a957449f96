"""placement and nova."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.clouds.config.ini import Section, render
from rehearsal.clouds.config.shared import Subject, database, default, login, oslo, token_check

FREEPOOL = "freepool"
"""Aggregate of the hosts that Blazar hands out; nothing runs on them without a lease."""
_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "SameHostFilter",
    "DifferentHostFilter",
    "AggregateInstanceExtraSpecsFilter",
    "BlazarFilter",
)


def placement(subject: Subject) -> Mapping[str, str]:
    """placement.conf."""
    sections = {
        "DEFAULT": default(subject, "placement"),
        **oslo(subject),
        "keystone_authtoken": token_check(subject),
        "placement_database": database(subject, "placement"),
        "api": {"auth_strategy": "keystone"},
    }
    return {"placement.conf": render(sections)}


def nova(subject: Subject) -> Mapping[str, str]:
    """nova.conf: api, conductor, scheduler and one compute service per simulated host, in one process."""
    sections: dict[str, Section] = {
        "DEFAULT": {**default(subject, "nova"), **_nova_default(subject)},
        **oslo(subject),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": token_check(subject),
        "api_database": database(subject, "nova_api"),
        "database": database(subject, "nova"),
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": -1, "max_attempts": 1},
        "filter_scheduler": {
            "available_filters": (
                "nova.scheduler.filters.all_filters",
                "blazarnova.scheduler.filters.blazar_filter.BlazarFilter",
                "rehearsal.clouds.services.lease_filter.LeaseFilter",
            ),
            # First, so that a request without a lease is told so before another filter empties the list.
            "enabled_filters": ",".join(("LeaseFilter", *_FILTERS)),
        },
        "quota": {"driver": "nova.quota.DbQuotaDriver"},
        "vnc": {"enabled": False},
        "placement": login(subject),
        "neutron": login(subject),
        "cinder": {**login(subject), "os_region_name": subject.site.region, "catalog_info": "block-storage::publicURL"},
        "glance": {**login(subject), "api_servers": subject.site.url("glance")},
        "service_user": {**login(subject), "send_service_user_token": True},
        "blazar:physical:host": {"aggregate_freepool_name": FREEPOOL},
    }
    return {"nova.conf": render(sections)}


def _nova_default(subject: Subject) -> Section:
    return {
        "my_ip": str(subject.site.address),
        # nova loads drivers by a path under nova.virt only; the service registers ours there under this name.
        "compute_driver": "tandem_hosts.HostDriver",
        "concurrency_backend": "threading",
        "osapi_compute_workers": 1,
        "instances_path": subject.tree.file("state", "instances"),
        "vif_plugging_is_fatal": False,
        "vif_plugging_timeout": 0,
        "initial_cpu_allocation_ratio": 1.0,
        "initial_ram_allocation_ratio": 1.0,
        "initial_disk_allocation_ratio": 1.0,
        "reserved_host_memory_mb": 0,
        "report_interval": 10,
        "service_down_time": 120,
        "reclaim_instance_interval": 0,
        # A host whose process died must show within seconds; looking costs one small file a server.
        "sync_power_state_interval": 10,
        # After `rehearsal.down` (or a reboot of the machine) servers that ran are booted again, as a cloud would.
        "resume_guests_state_on_host_boot": True,
    }

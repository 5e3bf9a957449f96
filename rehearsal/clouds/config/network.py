"""neutron: no agents; our mechanism driver binds ports, our fabric thread renders them."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.clouds.config.ini import Section, render
from rehearsal.clouds.config.shared import Subject, database, default, login, oslo, token_check

MECHANISM = "tandem"


def neutron(subject: Subject) -> Mapping[str, str]:
    """neutron.conf and ml2_conf.ini. A site without security groups has the extension off, as bare metal at Chameleon."""
    return {"neutron.conf": render(_neutron(subject)), "ml2_conf.ini": render(_ml2(subject))}


def _neutron(subject: Subject) -> Mapping[str, Section]:
    return {
        "DEFAULT": {
            **default(subject, "neutron"),
            "core_plugin": "ml2",
            "service_plugins": "router,tag,network_ip_availability",
            "api_paste_config": subject.tree.venv / "etc/neutron/api-paste.ini",
            "auth_strategy": "keystone",
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
            "api_workers": 1,
            "rpc_workers": 0,
            "base_mac": "fa:16:3e:00:00:00",
            "dhcp_agent_notification": False,
            "agent_down_time": 100000,
        },
        **oslo(subject),
        "keystone_authtoken": token_check(subject),
        "nova": login(subject),
        "placement": login(subject),
        "database": {**database(subject, "neutron"), "max_overflow": 50},
        "quotas": {"quota_driver": "neutron.db.quota.driver_nolock.DbQuotaNoLockDriver"},
    }


def _ml2(subject: Subject) -> Mapping[str, Section]:
    return {
        "ml2": {
            "type_drivers": "local,flat,vlan",
            "tenant_network_types": "vlan",
            "mechanism_drivers": MECHANISM,
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vlan": {"network_vlan_ranges": "physnet1:100:999"},
        "securitygroup": {"enable_security_group": subject.site.has_security_groups},
    }

"""neutron: no agents; our mechanism driver binds ports, our fabric thread renders them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rehearsal.clouds.config.ini import Section, render
from rehearsal.clouds.config.shared import Subject, database, default, login, oslo, token_check

MECHANISM = "tandem"
_MAY_CHOOSE = "rule:admin_or_network_owner or rule:context_is_advsvc or role:service or rule:shared"
"""Who may ask for a certain address: upstream only the network's owner; here also the users of a shared network, since
the platform's addresses are planned and the GPU node lives on one."""
_POLICY = {f"{verb}_port:fixed_ips:ip_address": _MAY_CHOOSE for verb in ("create", "update")}


def neutron(subject: Subject) -> Mapping[str, str]:
    """neutron.conf, ml2_conf.ini, policy.yaml. A site without security groups has the extension off."""
    return {
        "neutron.conf": render(_neutron(subject)),
        "ml2_conf.ini": render(_ml2(subject)),
        "policy.yaml": json.dumps(_POLICY) + "\n",
    }


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
        "oslo_policy": {"policy_file": subject.tree.file("etc/neutron/policy.yaml")},
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

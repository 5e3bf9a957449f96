"""Configuration files of the clouds' services, rendered from a tree and its secrets."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from rehearsal.clouds.config import Secrets, environment, ini, render_all
from rehearsal.clouds.layout import PORTS, Tree
from rehearsal.clouds.sites import SITES

SECRETS = Secrets(admin="pw-admin", service="pw-service", user="pw-user", swift_hash="salt")


def tree(site: str) -> Tree:
    root = Path("/state/clouds") / site
    return Tree("rehearsal", site, root, Path("/state"), Path("/cache"), Path("/venv"), Path("/code"))


def parsed(site: str, name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(render_all(tree(site), SECRETS)[name])
    return parser


def test_a_list_repeats_its_key_and_a_bool_is_lower_case() -> None:
    text = ini.render({"DEFAULT": {"filters": ("a", "b"), "on": True, "port": 5000}, "empty": {}})
    assert text == "[DEFAULT]\nfilters = a\nfilters = b\non = true\nport = 5000\n"


@pytest.mark.parametrize("site", SITES)
def test_a_site_has_files_for_its_services_only(site: str) -> None:
    folders = {name.split("/")[0] for name in render_all(tree(site), SECRETS)}
    assert folders == set(SITES[site].services)


@pytest.mark.parametrize(("site", "enabled"), [("kvm-tacc", "true"), ("chi-uc", "false")])
def test_security_groups_exist_only_where_chameleon_has_them(site: str, enabled: str) -> None:
    assert parsed(site, "neutron/ml2_conf.ini")["securitygroup"]["enable_security_group"] == enabled


@pytest.mark.parametrize("site", SITES)
def test_blazar_refuses_leases_longer_than_the_sites(site: str) -> None:
    blazar = parsed(site, "blazar/blazar.conf")
    assert blazar["enforcement"]["enabled_filters"] == "LeaseRules"
    assert blazar["enforcement"]["reservation_extension_window"] == str(48 * 3600)
    assert blazar["enforcement"]["external_service_token"] == SECRETS.service
    assert int(blazar["enforcement"]["max_lease_duration"]) == SITES[site].max_lease_s
    assert blazar["DEFAULT"]["executor_thread_pool_size"] == "1"


@pytest.mark.parametrize("site", SITES)
def test_users_may_read_hosts_and_their_calendar(site: str) -> None:
    """As on Chameleon: its own client lists both with a user's credential. Writing stays the provider's."""
    policy = json.loads(render_all(tree(site), SECRETS)["blazar/policy.yaml"])
    assert policy == {"blazar:oshosts:get": "", "blazar:oshosts:get_allocations": ""}


def test_nova_asks_the_lease_filter_first() -> None:
    filters = parsed("chi-uc", "nova/nova.conf")["filter_scheduler"]["enabled_filters"].split(",")
    assert filters[0] == "LeaseFilter" and "BlazarFilter" in filters


def test_volumes_lie_in_the_platforms_state() -> None:
    assert parsed("kvm-tacc", "cinder/cinder.conf")["sparse"]["volumes_dir"] == "/state/volumes"


def test_s3_comes_between_token_check_and_its_own() -> None:
    pipeline = parsed("chi-uc", "swift/proxy.conf")["pipeline:main"]["pipeline"].split()
    order = [pipeline.index(name) for name in ("authtoken", "s3api", "s3token", "keystoneauth")]
    assert order == sorted(order)


def test_swifts_inner_servers_listen_where_no_host_can_reach_them() -> None:
    for server in ("account", "container", "object"):
        assert parsed("chi-uc", f"swift/{server}.conf")["DEFAULT"]["bind_ip"] == "127.0.0.1"
    assert parsed("chi-uc", "swift/proxy.conf")["DEFAULT"]["bind_ip"] == "10.30.0.20"
    assert parsed("chi-uc", "swift/proxy.conf")["DEFAULT"]["bind_port"] == str(PORTS["swift"])


@pytest.mark.parametrize("site", SITES)
def test_the_users_and_admins_passwords_are_in_no_configuration(site: str) -> None:
    text = "".join(render_all(tree(site), SECRETS).values())
    assert SECRETS.admin not in text and SECRETS.user not in text
    assert "osksvc" not in text and "example" not in text


def test_services_find_our_code_and_their_files() -> None:
    found = environment(tree("chi-uc"))
    assert found["PYTHONPATH"] == "/code"
    assert found["OS_NOVA_CONFIG_DIR"] == "/state/clouds/chi-uc/etc/nova"

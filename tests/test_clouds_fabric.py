"""From neutron's tables to bridges and rules."""

from __future__ import annotations

import sqlite3

import pytest

from rehearsal.clouds.services import fabric_facts
from rehearsal.network import FloatingIp, Network, Port, SecurityRule, render

TABLES = """
CREATE TABLE externalnetworks (network_id);
CREATE TABLE subnets (id, network_id, cidr, ip_version);
CREATE TABLE ports (id, network_id, device_id, device_owner);
CREATE TABLE ipallocations (port_id, ip_address, subnet_id, network_id);
CREATE TABLE portsecuritybindings (port_id, port_security_enabled);
CREATE TABLE securitygroupportbindings (port_id, security_group_id);
CREATE TABLE securitygrouprules (id, security_group_id, direction, ethertype, protocol, port_range_min, port_range_max,
    remote_ip_prefix, remote_group_id, remote_address_group_id);
CREATE TABLE floatingips (id, floating_ip_address, fixed_ip_address, fixed_port_id, status);
CREATE TABLE routers (id, gw_port_id);
CREATE TABLE allowedaddresspairs (port_id, ip_address);

INSERT INTO externalnetworks VALUES ('ext');
INSERT INTO subnets VALUES ('s-ext', 'ext', '10.30.1.0/24', 4), ('s1', 'aaaabbbbcccc', '10.31.1.0/24', 4);
INSERT INTO routers VALUES ('r1', 'gw');
INSERT INTO ports VALUES
  ('gw', 'ext', 'r1', 'network:router_gateway'), ('rif', 'aaaabbbbcccc', 'r1', 'network:router_interface'),
  ('p1', 'aaaabbbbcccc', 'i1', 'compute:nova'), ('p2', 'aaaabbbbcccc', 'i2', 'compute:nova'),
  ('p3', 'aaaabbbbcccc', '', ''), ('f', 'ext', 'fip1', 'network:floatingip');
INSERT INTO ipallocations VALUES
  ('gw', '10.30.1.25', 's-ext', 'ext'), ('rif', '10.31.1.1', 's1', 'aaaabbbbcccc'),
  ('p1', '10.31.1.11', 's1', 'aaaabbbbcccc'), ('p2', '10.31.1.12', 's1', 'aaaabbbbcccc'),
  ('p3', '10.31.1.13', 's1', 'aaaabbbbcccc'), ('f', '10.30.1.10', 's-ext', 'ext');
INSERT INTO portsecuritybindings VALUES ('p1', 1), ('p2', 1), ('p3', 0);
INSERT INTO securitygroupportbindings VALUES ('p1', 'g'), ('p2', 'g');
INSERT INTO securitygrouprules VALUES
  ('1', 'g', 'ingress', 'IPv4', 'tcp', 22, 22, '0.0.0.0/0', NULL, NULL),
  ('2', 'g', 'ingress', 'IPv4', NULL, NULL, NULL, NULL, 'g', NULL),
  ('3', 'g', 'ingress', 'IPv4', '17', 53, 54, '10.0.0.0/8', NULL, NULL),
  ('4', 'g', 'ingress', 'IPv4', 'icmp', 8, 0, NULL, NULL, NULL),
  ('5', 'g', 'ingress', 'IPv4', '112', NULL, NULL, NULL, NULL, NULL),
  ('6', 'g', 'ingress', 'IPv6', NULL, NULL, NULL, NULL, NULL, NULL),
  ('7', 'g', 'egress', 'IPv4', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO floatingips VALUES
  ('fip1', '10.30.1.10', '10.31.1.11', 'p1', 'DOWN'), ('fip2', '10.30.1.11', NULL, NULL, 'DOWN');
INSERT INTO allowedaddresspairs VALUES ('p1', '10.233.64.0/18'), ('p2', '10.233.64.0/18'), ('p2', 'fd00::/64');
"""


@pytest.fixture
def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(TABLES)
    return connection


def test_a_routed_network_is_a_bridge_with_its_gateway(database: sqlite3.Connection) -> None:
    found = fabric_facts.read(database, "kvm-tacc", has_security_groups=True)
    assert found.bridges == {"kvm-aaaabbbb": "10.31.1.1/24"}
    assert found.rules.networks == (Network("kvm-aaaabbbb", "10.31.1.0/24", "10.30.1.25"),)


def test_a_network_without_router_has_no_gateway(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM ports WHERE id = 'rif'")
    found = fabric_facts.read(database, "kvm-tacc", has_security_groups=True)
    assert found.bridges == {"kvm-aaaabbbb": None}
    assert found.rules.networks[0].snat_ip is None


def test_security_groups_become_rules(database: sqlite3.Connection) -> None:
    found = fabric_facts.read(database, "kvm-tacc", has_security_groups=True)
    rules = (
        SecurityRule("tcp", (22, 22), ("0.0.0.0/0",)),
        SecurityRule(None, None, ("10.31.1.11", "10.31.1.12")),
        SecurityRule("udp", (53, 54), ("10.0.0.0/8",)),
        SecurityRule("icmp", None, ("0.0.0.0/0",)),
    )
    assert found.rules.ports == (Port("10.31.1.11", rules), Port("10.31.1.12", rules), Port("10.31.1.13", None))


def test_a_port_with_security_but_no_group_lets_nobody_in(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM securitygroupportbindings WHERE port_id = 'p2'")
    found = fabric_facts.read(database, "kvm-tacc", has_security_groups=True)
    assert found.rules.ports[1] == Port("10.31.1.12", ())


def test_a_site_without_security_groups_filters_nothing(database: sqlite3.Connection) -> None:
    found = fabric_facts.read(database, "chi-uc", has_security_groups=False)
    assert [port.rules for port in found.rules.ports] == [None, None, None]


def test_only_bound_floating_ips_count(database: sqlite3.Connection) -> None:
    found = fabric_facts.read(database, "kvm-tacc", has_security_groups=True)
    assert found.rules.floating_ips == (FloatingIp("10.30.1.10", "10.31.1.11"),)
    assert found.idle_floating == ("fip1",)
    database.execute("UPDATE floatingips SET status = 'ACTIVE' WHERE id = 'fip1'")
    assert fabric_facts.read(database, "kvm-tacc", has_security_groups=True).idle_floating == ()


def test_allowed_address_pairs_are_the_pods(database: sqlite3.Connection) -> None:
    assert fabric_facts.read(database, "kvm-tacc", has_security_groups=True).rules.pod_cidrs == ("10.233.64.0/18",)


def test_the_networks_renderer_takes_it(database: sqlite3.Connection) -> None:
    text = render(fabric_facts.read(database, "kvm-tacc", has_security_groups=True).rules)
    assert "10.30.1.10 : 10.31.1.11" in text and "tcp dport 22" in text

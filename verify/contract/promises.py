"""What a site's APIs promise us, each asked through the doors that the steps use. Reads only, unless in WRITES.

The same functions run over recordings (tests/clouds/test_promises.py) and live (`nox -s contract -- --env E`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provision.clouds.facts import KeyPair
from provision.clouds.openstack import OpenStackCloud
from provision.errors import PreconditionMissing, StepFailed

Promise = Callable[[OpenStackCloud], None]
NOBODY = "no-such-thing-as-this"
SKEW_S = 60.0


def a_login_names_project_and_roles(cloud: OpenStackCloud) -> None:
    """Steps need `member`; without `reader` some lists are refused."""
    found = cloud.prospect.read_credential()
    assert found.project
    assert {"member", "reader"} <= found.roles


def the_catalogue_has_what_the_site_is_used_for(cloud: OpenStackCloud) -> None:
    """Block storage where there is a volume, an object store where there are containers."""
    found = cloud.prospect.list_services()
    assert {"compute", "network", "image", "reservation"} <= found
    assert not cloud.site.volume or {"block-storage", "volumev3"} & found
    assert not cloud.site.containers or "object-store" in found


def leases_are_listed_with_their_ends_and_reservations(cloud: OpenStackCloud) -> None:
    """Every lease of ours has a date in UTC, and what it reserves."""
    for lease in cloud.leases.list_leases():
        assert lease.ends > 1_500_000_000
        assert lease.reservations
        assert all(held.id and held.kind for held in lease.reservations)


def leases_of_others_are_counted(cloud: OpenStackCloud) -> None:
    """By their names."""
    assert cloud.leases.count_others().leases >= 0


def hosts_of_the_node_type_have_a_calendar(cloud: OpenStackCloud) -> None:
    """Where whole hosts are leased. A site may keep its calendar from users: None."""
    if cloud.site.lease.kind == "physical:host":
        calendar = cloud.leases.find_calendar(cloud.site.lease.node_type)
        assert calendar is None or calendar.hosts


def the_image_is_there_and_another_is_not(cloud: OpenStackCloud) -> None:
    """By name; the newest counts."""
    assert cloud.prospect.find_image(cloud.site.image)
    assert cloud.prospect.find_image(NOBODY) == ""


def the_flavor_is_there_and_another_is_not(cloud: OpenStackCloud) -> None:
    """By name, as the settings say it."""
    assert cloud.prospect.has_flavor(cloud.site.lease.flavor or "baremetal")
    assert not cloud.prospect.has_flavor(NOBODY)


def the_networks_we_join_are_there(cloud: OpenStackCloud) -> None:
    """The one that leads out, and the shared one where the site has it."""
    for name in filter(None, (cloud.site.network.public, cloud.site.network.shared)):
        assert cloud.prospect.has_network(name)


def quotas_are_told(cloud: OpenStackCloud) -> None:
    """Of servers at least."""
    assert any(quota.what == "servers" for quota in cloud.prospect.list_quotas())


def clocks_agree(cloud: OpenStackCloud) -> None:
    """Leases are measured by the site's clock."""
    assert abs(cloud.prospect.read_skew()) < SKEW_S


def servers_are_listed_by_metadata(cloud: OpenStackCloud) -> None:
    """Ours only."""
    assert all(server.name.startswith(cloud.owner.prefix) for server in cloud.servers.list_servers())


def networks_are_surveyed(cloud: OpenStackCloud) -> None:
    """Security groups only where the site has them."""
    found = cloud.networks.survey()
    assert cloud.site.network.security_groups or found.groups == ()
    assert all(port.id for port in found.ports)


def volumes_and_containers_are_listed(cloud: OpenStackCloud) -> None:
    """As far as the site has them."""
    assert cloud.site.volume or cloud.store.list_volumes() == ()
    assert cloud.site.containers or cloud.store.list_containers() == ()
    assert all(container.name.startswith(cloud.owner.prefix) for container in cloud.store.list_containers())


def a_key_that_is_not_there_is_none(cloud: OpenStackCloud) -> None:
    """404 is an answer."""
    assert cloud.servers.find_key(f"{cloud.owner.prefix}{NOBODY}") is None


def a_lease_that_is_not_there_is_gone(cloud: OpenStackCloud) -> None:
    """Deleting twice is silent; extending is refused with exit code 3."""
    try:
        cloud.leases.extend_lease("00000000-0000-0000-0000-000000000000", 4_000_000_000)
    except PreconditionMissing as error:
        assert "404" in error.why
    else:
        raise AssertionError("a lease that is not there was extended")


def a_microversion_that_is_too_high_is_refused(cloud: OpenStackCloud) -> None:
    """406: not retried, not taken for anything else."""
    try:
        with cloud.session.asking("list servers") as connection:
            connection.compute.get("/servers", microversion="2.999", raise_exc=True)
    except StepFailed as error:
        assert "406" in error.why
    else:
        raise AssertionError("microversion 2.999 was accepted")


def a_key_is_made_found_and_removed(cloud: OpenStackCloud) -> None:
    """Writes; free, and gone again."""
    key = KeyPair(f"{cloud.owner.prefix}contract", f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}")
    cloud.servers.create_key(key)
    try:
        assert cloud.servers.find_key(key.name) == key
    finally:
        cloud.servers.delete_key(key.name)
    assert cloud.servers.find_key(key.name) is None


def an_object_is_written_read_and_removed(cloud: OpenStackCloud) -> None:
    """Writes, where the site has an object store; gone again."""
    if not cloud.site.containers:
        return
    name = f"{cloud.owner.prefix}contract"
    cloud.store.create_container(name)
    try:
        cloud.store.write_object(name, "probe", "here", lasts_s=600)
        assert cloud.store.read_object(name, "probe") == "here"
        assert cloud.store.read_object(name, NOBODY) is None
    finally:
        cloud.store.delete_container(name)


PROMISES: tuple[Promise, ...] = (
    a_login_names_project_and_roles,
    the_catalogue_has_what_the_site_is_used_for,
    leases_are_listed_with_their_ends_and_reservations,
    leases_of_others_are_counted,
    hosts_of_the_node_type_have_a_calendar,
    the_image_is_there_and_another_is_not,
    the_flavor_is_there_and_another_is_not,
    the_networks_we_join_are_there,
    quotas_are_told,
    clocks_agree,
    servers_are_listed_by_metadata,
    networks_are_surveyed,
    volumes_and_containers_are_listed,
    a_key_that_is_not_there_is_none,
    a_lease_that_is_not_there_is_gone,
    a_microversion_that_is_too_high_is_refused,
)
WRITES: tuple[Promise, ...] = (a_key_is_made_found_and_removed, an_object_is_written_read_and_removed)


def name_of(promise: Any) -> str:
    """For a test's id."""
    return str(getattr(promise, "__name__", promise))

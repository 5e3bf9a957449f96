"""Fill an empty cloud over its own APIs: `python -m rehearsal.clouds.services.seed identity|resources|access ROOT`.

Run once, while the template is built. identity: roles, users, catalogue (only keystone runs). resources: flavors,
images, quotas, the provider's networks, lease inventory. access: the tandem user's application credential (and S3 key).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import openstack

from rehearsal.clouds.access import Access, Ec2Key, read_secrets, write_access
from rehearsal.clouds.catalogue import CATALOGUE
from rehearsal.clouds.config.compute import FREEPOOL
from rehearsal.clouds.config.shared import SERVICE_USER
from rehearsal.clouds.config.storage import S3_REGION
from rehearsal.clouds.layout import Tree, read_tree
from rehearsal.clouds.sites import SITES, CloudSite

PROJECT = "CHI-tandem"
USER = "tandem"


def main() -> None:
    """One stage, for one tree."""
    stage, root = sys.argv[1], Path(sys.argv[2])
    tree = read_tree(root)
    {"identity": identity, "resources": resources, "access": access}[stage](tree, SITES[tree.site])


def connect(site: CloudSite, user: str, password: str, project: str) -> Any:
    """A password session, as only the seeding needs one."""
    return openstack.connect(
        auth_url=site.auth_url,
        username=user,
        password=password,
        project_name=project,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=site.region,
        load_yaml_config=False,
        load_envvars=False,
    )


def _admin(tree: Tree, site: CloudSite) -> Any:
    return connect(site, "admin", read_secrets(tree).admin, "admin")


def identity(tree: Tree, site: CloudSite) -> None:
    """Roles, the services' user, tandem's project and user, and a catalogue of what this site has."""
    keystone = _admin(tree, site).identity
    secrets = read_secrets(tree)
    roles = {role.name: role for role in keystone.roles()}
    for name in ("service", "member", "reader"):
        if name not in roles:
            roles[name] = keystone.create_role(name=name)
    for name, password, project, granted in (
        (SERVICE_USER, secrets.service, "service", ("admin", "service")),
        (USER, secrets.user, PROJECT, ("member", "reader")),
    ):
        home = keystone.create_project(name=project, domain_id="default")
        user = keystone.create_user(name=name, password=password, domain_id="default", default_project_id=home.id)
        for role in granted:
            keystone.assign_project_role_to_user(home, user, roles[role])
    for service in site.services:
        for name, kind, path in CATALOGUE.get(service, ()):
            entry = keystone.create_service(name=name, type=kind)
            for interface in ("public", "internal", "admin"):
                keystone.create_endpoint(
                    service_id=entry.id, interface=interface, region_id=site.region, url=site.url(service, path)
                )


def resources(tree: Tree, site: CloudSite) -> None:
    """Everything a provider would have set up before the first user came."""
    cloud = _admin(tree, site)
    _flavors(cloud, site)
    _images(cloud, site)
    project = cloud.identity.find_project(PROJECT, ignore_missing=False)
    cloud.set_compute_quotas(project.id, instances=20, cores=200, ram=400000)
    public = _public_network(cloud, site)
    if site.shared is not None:
        _shared_network(cloud, site, public)
    _lease_inventory(cloud, site, public)


def access(tree: Tree, site: CloudSite) -> None:
    """What a user of Chameleon makes by hand: an unrestricted application credential, and at chi-uc an S3 key."""
    secrets = read_secrets(tree)
    cloud = connect(site, USER, secrets.user, PROJECT)
    # Unrestricted: leases make trusts, which a restricted credential may not.
    credential = cloud.identity.create_application_credential(
        user=cloud.current_user_id, name="tandem", unrestricted=True
    )
    key = None
    if "swift" in site.services:
        # keystone refuses to make these with an application credential; it takes a password login.
        made = cloud.identity.post(
            f"/users/{cloud.current_user_id}/credentials/OS-EC2", json={"tenant_id": cloud.current_project_id}
        ).json()["credential"]
        key = Ec2Key(access=made["access"], secret=made["secret"], endpoint=site.url("swift"), region=S3_REGION)
    write_access(tree, Access(credential_id=credential.id, credential_secret=credential.secret, ec2=key))


def _flavors(cloud: Any, site: CloudSite) -> None:
    for flavor in site.flavors:
        cloud.compute.create_flavor(
            id=flavor.id, name=flavor.name, ram=flavor.memory_mib, vcpus=flavor.vcpus, disk=flavor.disk_gib
        )
        if flavor.extra:
            cloud.compute.create_flavor_extra_specs(flavor.id, dict(flavor.extra))


def _images(cloud: Any, site: CloudSite) -> None:
    for image in site.images:
        made = cloud.image.create_image(
            name=image.name,
            disk_format="raw",
            container_format="bare",
            visibility="public",
            allow_duplicates=True,
            data=f"root tree layers: {image.layers}\n".encode(),
            validate_checksum=False,
            tandem_layers=image.layers,
        )
        cloud.image.wait_for_status(made, "active", failures=["killed", "deleted"], interval=0.2, wait=60)


def _public_network(cloud: Any, site: CloudSite) -> Any:
    first, last = site.floating_pool
    network = cloud.network.create_network(
        name="public",
        is_router_external=True,
        is_shared=False,
        provider_network_type="flat",
        provider_physical_network="public",
    )
    cloud.network.create_subnet(
        network_id=network.id,
        name="public-subnet",
        ip_version=4,
        cidr=str(site.public),
        gateway_ip=str(site.public[1]),
        is_dhcp_enabled=False,
        allocation_pools=[{"start": str(first), "end": str(last)}],
    )
    return network


def _shared_network(cloud: Any, site: CloudSite, public: Any) -> None:
    network = cloud.network.create_network(
        name="sharednet1",
        is_shared=True,
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id=100,
    )
    subnet = cloud.network.create_subnet(
        network_id=network.id, name="sharednet1-subnet", ip_version=4, cidr=str(site.shared)
    )
    router = cloud.network.create_router(name="sharednet1-router", external_gateway_info={"network_id": public.id})
    cloud.network.add_interface_to_router(router, subnet_id=subnet.id)


def _lease_inventory(cloud: Any, site: CloudSite, public: Any) -> None:
    cloud.compute.create_aggregate(name=FREEPOOL)
    for host in site.hosts:
        _blazar(
            cloud,
            site,
            "/os-hosts",
            {
                "name": host.name,
                "node_type": host.node_type,
                "node_name": host.name,
                "architecture.platform_type": "x86_64",
                "su_factor": str(host.su_per_hour),
            },
        )
    for address in site.reservable_floating:
        _blazar(cloud, site, "/floatingips", {"floating_network_id": public.id, "floating_ip_address": str(address)})


def _blazar(cloud: Any, site: CloudSite, path: str, body: dict[str, str]) -> None:
    cloud.session.request(site.url("blazar", "/v1" + path), "POST", json=body, raise_exc=True)


if __name__ == "__main__":
    main()

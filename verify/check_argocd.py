"""Argo CD: each site's follows the commit of this checkout, served in its own cluster, and heals what differs."""

from __future__ import annotations

from collections.abc import Callable

from provision import applications, releases, values
from provision.site import Site

GIT = ("exec", "-n", "git", "deployment/git", "--")
REPOSITORY = "/srv/platform.git"


def test_the_repository_in_the_cluster_is_this_checkout(site: Site, figure: Callable[[str], None]) -> None:
    """The commit that git serves there is the one that these files and settings make."""
    served = site.kube.run(*GIT, "git", "-C", REPOSITORY, "rev-parse", "main").stdout.strip()
    figure(f"commit {served[:12]}")
    assert served == values.commit_at(site.name, site.settings)


def test_the_application_of_applications_is_synced_and_heals(site: Site, figure: Callable[[str], None]) -> None:
    """At that commit, healthy, and with healing switched on; as many applications as apps/ gives the site."""
    found = applications.read(site)
    wanted = {release.name for release in releases.at(site.name, site.settings) if release.owner == "argocd"}
    figure(f"{len(wanted)} applications")
    assert found[applications.ROOT].fault(values.commit_at(site.name, site.settings)) == ""
    assert set(found) == {applications.ROOT, *wanted}
    assert [name for name, one in found.items() if not one.syncs] == []


def test_argo_cd_has_no_public_face(site: Site) -> None:
    """Neither its API server nor its pages are there, and none of its Services leaves the cluster."""
    services = site.kube.get("services", namespace=applications.NAMESPACE)
    assert services
    assert {service["spec"]["type"] for service in services} == {"ClusterIP"}
    assert "argocd-server" not in {service["metadata"]["name"] for service in services}

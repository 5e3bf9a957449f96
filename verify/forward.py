"""Services of a site on this machine's loopback, through the ssh connection to the site's entry node.

What is asked so is the application itself, from where its operator sits; nothing of the cluster is changed for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from provision import s3
from provision.forwarding import forwarded
from provision.site import Site

GATEWAY, GATEWAY_PORT, REGION = "s3.s3.svc", 8333, "us-east-1"


@contextmanager
def client(site: Site, namespace: str, service: str, port: int, *, answer_s: float) -> Iterator[httpx.Client]:
    """An HTTP client of a Service, which it calls by the name that applications use; no environment is looked at."""
    name = f"{service}.{namespace}.svc:{port}"
    with (
        forwarded(site, f"{_cluster_ip(site, namespace, service)}:{port}") as local,
        httpx.Client(
            base_url=f"http://127.0.0.1:{local}", headers={"Host": name}, timeout=answer_s, trust_env=False
        ) as asking,
    ):
        yield asking


@dataclass(frozen=True)
class Bucket:
    """Single objects of one bucket; no repr, it holds a key."""

    asking: httpx.Client = field(repr=False)
    key: s3.Key = field(repr=False)
    name: str

    def ask(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        """One signed request for one object; any status is an answer."""
        url = s3.presigned(self.key, method, f"/{self.name}/{path}").removeprefix(self.key.endpoint)
        return self.asking.request(method, url, content=content)


@contextmanager
def bucket(site: Site, account: str, role: str, *, answer_s: float) -> Iterator[Bucket]:
    """A bucket of the platform's S3, with the key of an application."""
    held = site.vault.read()[f"s3-{account}"]
    key = s3.Key(held["access"], held["secret"], f"http://{GATEWAY}:{GATEWAY_PORT}", REGION)
    with client(site, "s3", "s3", GATEWAY_PORT, answer_s=answer_s) as asking:
        yield Bucket(asking, key, site.settings.name(site.settings.store_site, role))


def _cluster_ip(site: Site, namespace: str, service: str) -> str:
    """The address of a Service: ssh on a host knows no cluster DNS."""
    (found,) = site.kube.get("service", namespace=namespace, name=service)
    return str(found["spec"]["clusterIP"])

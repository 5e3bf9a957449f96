"""Kubernetes objects that tandem itself puts into a cluster, as plain data. Pure.

Each carries the label `tandem.io/owner=<platform>`: that is how `look` and `undo` know ours from others.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

OWNER = "tandem.io/owner"
FINGERPRINT = "tandem.io/fingerprint"
SINCE = "tandem.io/since"  # when a Secret's value last changed
TOLD = "tandem.io/told"  # the fingerprint of the value that its keeper was given
PORT_NAME = "link"
# Labels without which the application that reads a Secret does not see it.
EXPECTED_LABELS = {"argocd-secret": {"app.kubernetes.io/name": "argocd-secret", "app.kubernetes.io/part-of": "argocd"}}
DOCKER_HUB = "https://index.docker.io/v1/"

Object = Mapping[str, Any]


def metadata(platform: str, name: str, namespace: str = "", **annotations: str) -> Object:
    """Name, namespace, our label, annotations."""
    return {
        "name": name,
        "labels": {OWNER: platform},
        **({"namespace": namespace} if namespace else {}),
        **({"annotations": annotations} if annotations else {}),
    }


def namespace_of(item: Object) -> str:
    """Where an object is; '' for the cluster's own."""
    return str(item["metadata"].get("namespace", ""))


def namespace(platform: str, name: str) -> Object:
    """A namespace of ours."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(platform, name)}


def furnished_namespace(
    platform: str, name: str, config_name: str, config: Mapping[str, str], pull_secrets: Sequence[str]
) -> list[Object]:
    """A namespace with its config map, and with pull secrets for its default account, if there are any."""
    account = [default_account(platform, name, pull_secrets)] if pull_secrets else []
    return [namespace(platform, name), config_map(platform, config_name, name, config), *account]


def config_map(platform: str, name: str, namespace: str, data: Mapping[str, str]) -> Object:
    """A config map of texts."""
    meta = metadata(platform, name, namespace)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(data)}


def default_account(platform: str, namespace: str, pull_secrets: Sequence[str]) -> Object:
    """The namespace's default service account, pulling images with these Secrets."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(platform, "default", namespace),
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
    }


def secret(
    platform: str, name: str, namespace: str, kind: str, data: Mapping[str, str], fingerprint: str, since: str = ""
) -> Object:
    """A Secret. fingerprint: the keyed hash by which it can be compared without being read; since: its value's age."""
    meta = metadata(platform, name, namespace, **{FINGERPRINT: fingerprint, **({SINCE: since} if since else {})})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {**meta, "labels": {**meta["labels"], **EXPECTED_LABELS.get(name, {})}},
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }


def rclone_config(store: Mapping[str, str]) -> str:
    """rclone's configuration of the remote `store`, from an S3 key and where it is good."""
    told = {
        "type": "s3",
        "provider": "Other",
        "access_key_id": store["access"],
        "secret_access_key": store["secret"],
        "endpoint": store["endpoint"],
        "region": store["region"],
    }
    return "\n".join(["[store]", *(f"{key} = {value}" for key, value in told.items()), ""])


def docker_config(user: str, password: str, hosts: Sequence[str]) -> str:
    """The text of `.dockerconfigjson`: the same credentials for every host of the list."""
    entry = {"username": user, "password": password, "auth": b64encode(f"{user}:{password}".encode()).decode()}
    return json.dumps({"auths": {DOCKER_HUB if host == "docker.io" else host: entry for host in hosts}}, sort_keys=True)


def service(platform: str, name: str, namespace: str, port: int) -> Object:
    """A Service without selector: its addresses come from our EndpointSlice."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(platform, name, namespace),
        "spec": {"ports": [{"name": PORT_NAME, "port": port, "targetPort": port, "protocol": "TCP"}]},
    }


def endpoint_slice(platform: str, name: str, namespace: str, address: str, port: int) -> Object:
    """Where the Service of the same name leads: one address and port outside the pod network."""
    meta = metadata(platform, name, namespace)
    labels = {**meta["labels"], "kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "tandem"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": PORT_NAME, "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }

"""Helm's own records, read without asking Helm."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

from provision.helm import MARK, Ref, missing, records

MANIFEST = """---
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
---
# Source: nothing but a comment
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: block}
"""


def stored(name: str, version: int, status: str, description: str, manifest: str = MANIFEST) -> Any:
    info = {"status": status, "description": description}
    told = {"name": name, "version": version, "manifest": manifest, "info": info}
    blob = b64encode(b64encode(gzip.compress(json.dumps(told).encode()))).decode()
    labels = {"owner": "helm", "name": name, "version": str(version)}
    metadata = {"name": f"sh.helm.release.v1.{name}.v{version}", "namespace": "data", "labels": labels}
    return {"kind": "Secret", "metadata": metadata, "data": {"release": blob}}


def test_the_newest_revision_counts() -> None:
    pending, deployed = stored("web", 10, "pending-upgrade", "Preparing"), stored("web", 9, "deployed", f"{MARK}abc")
    found = records([pending, deployed])
    assert (found["web"].revision, found["web"].status, found["web"].inputs) == (10, "pending-upgrade", "")


def test_inputs_are_those_of_the_description() -> None:
    assert records([stored("web", 1, "deployed", f"{MARK}abc")])["web"].inputs == "abc"
    assert records([stored("web", 1, "deployed", "Upgrade complete")])["web"].inputs == ""


def test_objects_and_kinds_come_from_the_manifest() -> None:
    found = records([stored("web", 1, "deployed", "")])["web"]
    assert found.objects == (Ref("ConfigMap", "", "web"), Ref("StorageClass", "", "block"))
    assert found.kinds == ("ConfigMap.v1.", "StorageClass.v1.storage.k8s.io")


def test_what_is_gone_is_named() -> None:
    record = records([stored("web", 1, "deployed", "")])["web"]
    there = [
        {"kind": "ConfigMap", "metadata": {"name": "web", "namespace": "data"}},
        {"kind": "StorageClass", "metadata": {"name": "block"}},
    ]
    assert missing(record, there) == []
    assert missing(record, there[:1]) == ["StorageClass block"]


def test_the_same_name_in_another_namespace_is_another_object() -> None:
    record = records([stored("web", 1, "deployed", "")])["web"]
    there = [{"kind": "ConfigMap", "metadata": {"name": "web", "namespace": "other"}}]
    assert missing(record, there) == ["ConfigMap web", "StorageClass block"]

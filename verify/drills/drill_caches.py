"""Would the stages start faster with their model from `caches`? Measured where they run, with their image.

They do not use it, and this drill measures why: the model in the image's layer is on the node before the pod is, once
for all stages, and needs no object store at start. When the answer changes, this turns red.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from provision import s3, values
from provision.releases import named
from provision.site import Site
from serving import stages
from verify.check_storage_class import GIVE_BACK, OBJECT
from verify.drills.cli import Cli

SITE, NAME = "chi-uc", "tandem-verify-caches"
MODEL = f"/models/embedder-{stages.load_precision().cpu}"
CACHE, SCRATCH = "/cache/embedder", "/tmp/embedder"
# Each way in a process of its own: the checksums of every file, then a session, as a stage does it at start.
START = """
import pathlib, shutil, sys, time
import onnxruntime
from serving import manifest
begun = time.monotonic()
source, target = map(pathlib.Path, sys.argv[1:3])
if source != target:
    shutil.copytree(source, target, copy_function=shutil.copyfile)
manifest.load(target)
onnxruntime.InferenceSession(str(target / manifest.GRAPH), providers=["CPUExecutionProvider"])
print(f"{time.monotonic() - begun:.2f}")
"""
WAYS: Mapping[str, tuple[str, str]] = {
    "image": (MODEL, MODEL),
    "copied from caches": (CACHE, SCRATCH),
    "read in caches": (CACHE, CACHE),
}
FILL = "import shutil; shutil.copytree(*__import__('sys').argv[1:3], copy_function=shutil.copyfile, dirs_exist_ok=True)"


@pytest.mark.slow
@pytest.mark.breaks
def test_a_model_in_the_image_is_ready_before_one_from_caches(
    doors: Mapping[str, Site], cli: Cli, figure: Callable[[str], None]
) -> None:
    """The same files three ways; the container is filled from the image first, which is timed by nobody."""
    site = doors[SITE]
    with ExitStack() as stack:
        stack.callback(site.kube.run, "delete", "namespace", NAME, "--ignore-not-found", deadline_s=120.0)
        site.kube.apply(objects(site, str(values.of(named("serving", SITE, site.settings), site.settings)["image"])))
        seconds = f"--timeout={cli.budget('drill.job_s'):.0f}s"
        site.kube.run("wait", f"pod/{NAME}", "-n", NAME, "--for=condition=Ready", seconds, deadline_s=300.0)
        stack.callback(give_back, site)
        run(site, FILL, MODEL, CACHE)
        took = {way: float(run(site, START, *paths)) for way, paths in WAYS.items()}
    figure("; ".join(f"{way} {told:.2f} s" for way, told in took.items()))
    assert took["image"] <= min(took.values())


def run(site: Site, script: str, *words: str) -> str:
    """Python in the pod."""
    command = ("exec", "-n", NAME, NAME, "--", "python3", "-c", script, *words)
    return site.kube.run(*command, deadline_s=300.0).stdout.strip()


def objects(site: Site, image: str) -> list[Any]:
    """A namespace, a claim of class `object`, and a pod of the stages' image that waits."""
    metadata = {"name": NAME, "namespace": NAME}
    size = {"requests": {"storage": "256Mi"}}
    container = {
        "name": "serving",
        "image": image,
        "command": ["python3", "-c", "import time; time.sleep(3600)"],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "tmp", "mountPath": "/tmp"}],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    }
    volumes = [{"name": "cache", "persistentVolumeClaim": {"claimName": NAME}}, {"name": "tmp", "emptyDir": {}}]
    claim = {"storageClassName": OBJECT, "accessModes": ["ReadWriteOnce"], "resources": size}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": volumes},
        },
    ]


def give_back(site: Site) -> None:
    """The class keeps volumes and data when a claim goes; these are only ours."""
    (claim,) = site.kube.get("pvc", namespace=NAME, name=NAME)
    volume = claim["spec"]["volumeName"]
    site.kube.run("patch", "pv", volume, "-p", json.dumps(GIVE_BACK))
    names = run(site, f"import os; print(*os.listdir('{CACHE}'))").split()
    (found,) = [item for item in site.kube.get("pv") if item["metadata"]["name"] == volume]
    folder = f"/{found['spec']['csi']['volumeAttributes']['remotePath']}/embedder"
    key = s3.KeyFile.of(site.settings, site.settings.store_site).read()
    for name in names:
        requests.delete(s3.presigned(key, "DELETE", f"{folder}/{name}"), timeout=20)

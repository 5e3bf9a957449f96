"""Ways to break a platform that stands, each with the checks that must notice and the step that repairs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from provision import shell
from provision.settings import ROOT
from provision.site import Site
from provision.wait import never, wait_until

WRONG_STAGE = "canary"
WRONG_MODEL = Path(__file__).with_name("wrong_model.py")
POD_GONE_S = 120.0


@dataclass(frozen=True)
class Fault:
    """must: the check that has to be red. may: red for the same reason. Patterns of `file::check[id]`.

    step, site: what `invoke provision.<step> --site <site>` repairs it with. areas: checks to run after the repair.
    """

    name: str
    step: str
    site: str
    break_it: Callable[[Mapping[str, Site]], None]
    must: str
    may: tuple[str, ...]
    areas: tuple[str, ...]


def scale_postgresql_to_zero(sites: Mapping[str, Site]) -> None:
    """No pod answers any more; the claim and its data stay."""
    kube = sites["kvm-tacc"].kube
    kube.run("-n", "data", "scale", "statefulset/postgresql", "--replicas=0")
    wait_until(
        "postgresql: no pod",
        lambda: kube.get("pod", namespace="data", selector="app.kubernetes.io/name=postgresql"),
        lambda pods: not pods,
        never,
        deadline_s=POD_GONE_S,
        every_s=1.0,
    )


def stop_the_tunnel(sites: Mapping[str, Site]) -> None:
    """As `systemctl stop` leaves it: systemd does not start it again by itself."""
    site = sites["chi-uc"]
    site.hosts.run(site.own.entry.name, ["systemctl", "stop", "tandem-link"])


def delete_the_storage_class(sites: Mapping[str, Site]) -> None:
    """Claims that are bound stay so; new ones find no class."""
    sites["kvm-tacc"].kube.run("delete", "storageclass", "block")


def roll_out_a_wrong_model(sites: Mapping[str, Site]) -> None:
    """One stage gets a model whose weights are spoiled, as a Helm revision by somebody else."""
    kube = sites["chi-uc"].kube
    helm = ["helm", "--kubeconfig", str(kube.connect()), "--namespace", "serving"]
    manifest = shell.run([*helm, "get", "manifest", "serving"], deadline_s=60.0).stdout
    objects = spoiled([item for item in yaml.safe_load_all(manifest) if item], WRONG_STAGE, WRONG_MODEL.read_text())
    with TemporaryDirectory(prefix="tandem-drill-") as folder:
        write_chart(Path(folder), objects)
        shell.run([*helm, "upgrade", "serving", folder, "--wait", "--timeout", "240s"], deadline_s=260.0)


def spoiled(objects: Sequence[Any], stage: str, script: str) -> list[Any]:
    """The release's objects with one stage's model replaced by a copy that `script` has spoiled."""
    wrong = [
        item for item in objects if item["kind"] == "Deployment" and item["metadata"]["name"] == f"serving-{stage}"
    ]
    if len(wrong) != 1:
        raise LookupError(f"release serving: {len(wrong)} Deployments of stage {stage}")
    spec = wrong[0]["spec"]["template"]["spec"]
    container = spec["containers"][0]
    folder = next(one["value"] for one in container["env"] if one["name"] == "MODEL_DIR")
    mount = {"name": "wrong", "mountPath": "/wrong"}
    spec["volumes"] = [*spec.get("volumes", []), {"name": "wrong", "emptyDir": {}}]
    spec["initContainers"] = [
        {
            "name": "spoil",
            "image": container["image"],
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", script, folder, "/wrong/embedder"],
            "securityContext": container.get("securityContext", {}),
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
            "volumeMounts": [*container.get("volumeMounts", []), mount],
        }
    ]
    container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    # Without a registry the folder serves; else the stage would fetch what its alias names.
    kept = [one for one in container["env"] if one["name"] not in {"MLFLOW_TRACKING_URI", "MODEL_DIR"}]
    container["env"] = [*kept, {"name": "MODEL_DIR", "value": "/wrong/embedder"}]
    return list(objects)


def write_chart(folder: Path, objects: Sequence[Any]) -> None:
    """A chart that renders exactly these objects: they come in as a file, so nothing in them is a template."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text((ROOT / "apps" / "serving" / "chart" / "Chart.yaml").read_text())
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    (folder / "templates" / "objects.yaml").write_text('{{ .Files.Get "objects.yaml" }}\n')


FAULTS = (
    Fault(
        "postgresql-at-zero",
        step="charts",
        site="kvm-tacc",
        break_it=scale_postgresql_to_zero,
        must=r"check_postgresql::test_the_nearest_vector_is_found\[kvm-tacc\]$",
        may=(
            r"check_postgresql::",
            r"check_charts::test_release_.*\[kvm-tacc-postgresql\]$",
            r"check_monitoring::test_every_panel.*postgresql",
        ),
        areas=("charts", "postgresql"),
    ),
    Fault(
        "tunnel-stopped",
        step="tunnel",
        site="chi-uc",
        break_it=stop_the_tunnel,
        must=r"check_tunnel::test_pods_reach_what_lies_across\[",
        may=(r"check_tunnel::", r"check_charts::test_a_pod_across", r"check_monitoring::"),
        areas=("tunnel", "charts", "monitoring"),
    ),
    Fault(
        "storage-class-deleted",
        step="charts",
        site="kvm-tacc",
        break_it=delete_the_storage_class,
        must=r"check_storage_class::",
        may=(r"check_charts::test_release_.*\[kvm-tacc-block-storage\]$",),
        areas=("storage_class",),
    ),
    Fault(
        "wrong-vectors",
        step="charts",
        site="chi-uc",
        break_it=roll_out_a_wrong_model,
        must=rf"check_onnx::test_vectors_agree_with_the_reference\[{WRONG_STAGE}\]$",
        may=(
            rf"check_onnx::test_vectors_are_those_that_the_version_records\[{WRONG_STAGE}\]$",
            r"check_charts::test_release_.*\[chi-uc-serving\]$",
        ),
        areas=("onnx",),
    ),
)

"""Each application without its pods: which checks have to notice, which others need it, and how it is taken away."""

from __future__ import annotations

from dataclasses import dataclass

from provision import applications, readiness, releases
from provision.releases import Ready, Release
from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until

POD_GONE_S = 90.0
STILL = '{"spec": {"syncPolicy": {"automated": null}}}'
SCALED = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Zero:
    """One application at one site. must: patterns of `file::check[id]`, each red; may: red because they need it.

    areas: the checks asked, its own and its neighbours'; that the release is red in `charts` goes without saying.
    """

    release: str
    site: str
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    @property
    def own(self) -> str:
        """The check of the release itself."""
        return rf"check_charts::test_release_is_deployed_and_ready\[{self.site}-{self.release}\]$"

    @property
    def all_areas(self) -> tuple[str, ...]:
        """`charts` first."""
        return tuple(dict.fromkeys(("charts", *self.areas)))


def keep_still(site: Site, release: Release) -> None:
    """Argo CD puts nothing back: neither the application's objects nor, from the one that holds all, its policy."""
    names = [applications.ROOT, release.name] if release.owner == "argocd" else []
    for name in names:
        site.kube.run("patch", applications.KIND, name, "-n", applications.NAMESPACE, "--type=merge", "-p", STILL)


def noticed(release: Release) -> tuple[str, ...]:
    """What is red because of `keep_still`: the release that hands over to Argo CD tells that nothing heals."""
    return (released(release.site, "git"),) if release.owner == "argocd" else ()


def take_away(site: Site, release: Release) -> None:
    """What has replicas is scaled to zero; a DaemonSet and what an operator keeps are deleted. Until no pod is left."""
    selectors = [selector(site, release, ready) for ready in workloads(release)]
    for ready in workloads(release):
        words = ["scale", "--replicas=0"] if ready.kind in SCALED else ["delete", "--wait=false"]
        site.kube.run(*words, f"{ready.kind.lower()}/{ready.name}", "-n", release.namespace)
    wait_until(
        f"{release.name} at {site.name}: no pod",
        lambda: [
            pod["metadata"]["name"]
            for labels in selectors
            for pod in site.kube.get("pods", namespace=release.namespace, selector=labels)
        ],
        lambda left: not left,
        never,
        deadline_s=POD_GONE_S,
        every_s=1.0,
    )


def selector(site: Site, release: Release, workload: Ready) -> str:
    """How a workload finds its pods."""
    if workload.kind not in readiness.WORKLOADS:
        return f"ray.io/cluster={workload.name}"
    (item,) = site.kube.get(workload.kind, namespace=release.namespace, name=workload.name)
    return ",".join(f"{key}={value}" for key, value in item["spec"]["selector"]["matchLabels"].items())


def workloads(release: Release) -> tuple[Ready, ...]:
    """What runs pods among the release's conditions."""
    kinds = (*readiness.WORKLOADS, "RayCluster")
    found = {(ready.kind, ready.name): ready for ready in release.ready if ready.kind.partition(".")[0] in kinds}
    return tuple(found.values())


def with_pods(settings: Settings) -> list[Release]:
    """Every release of every site that has something to take away."""
    return [release for release in releases.every(settings) if workloads(release)]


def released(site: str, *names: str) -> str:
    """The check of releases that are red because they need another."""
    return rf"check_charts::test_release_is_deployed_and_ready\[{site}-({'|'.join(names)})\]$"


KVM, CHI = "kvm-tacc", "chi-uc"
ZEROES: tuple[Zero, ...] = (
    Zero("block-storage", KVM, (r"check_storage_class::test_block",), areas=("storage_class",)),
    Zero("csi-rclone-shim", KVM, (r"check_storage_class::test_object.*\[kvm-tacc\]$",), areas=("storage_class",)),
    Zero("csi-rclone-shim", CHI, (r"check_storage_class::test_object.*\[chi-uc\]$",), areas=("storage_class",)),
    Zero("argocd", KVM, may=(r"check_argocd::test_the_application_of",), areas=("argocd",)),
    Zero("argocd", CHI, may=(r"check_argocd::test_the_application_of",), areas=("argocd",)),
    Zero("git", KVM, (r"check_argocd::test_the_repository.*\[kvm-tacc\]$",), areas=("argocd",)),
    Zero("git", CHI, (r"check_argocd::test_the_repository.*\[chi-uc\]$",), areas=("argocd",)),
    Zero(
        "postgresql",
        KVM,
        (r"check_postgresql::test_the_nearest_vector",),
        (
            r"check_postgresql::",
            released(KVM, "mlflow", "label-studio", "argo-workflows", "postgres-exporter", "jupyter"),
        ),
        ("postgresql",),
    ),
    Zero(
        "prometheus",
        KVM,
        (r"check_monitoring::test_the_rules",),
        areas=("monitoring::test_the_rules_of_this_checkout_are_loaded",),
    ),
    Zero(
        "s3",
        KVM,
        (r"check_object_store::test_what_an_application", r"check_workflows::test_a_workflow_succeeds"),
        (r"check_object_store::", r"check_workflows::"),
        ("object_store", "workflows"),
    ),
    Zero("mlflow", KVM, (r"check_mlflow::test_a_run_is_logged",), (r"check_mlflow::",), ("mlflow",)),
    Zero("label-studio", KVM, (r"check_label_studio::test_tasks",), (r"check_label_studio::",), ("label_studio",)),
    Zero("jupyter", KVM, (r"check_jupyter::test_a_notebook",), (r"check_jupyter::",), ("jupyter",)),
    Zero(
        "argo-workflows", KVM, (r"check_workflows::test_a_workflow_succeeds",), (r"check_workflows::",), ("workflows",)
    ),
    Zero("kube-state-metrics", KVM),
    Zero("kube-state-metrics", CHI),
    Zero("node-exporter", KVM),
    Zero("node-exporter", CHI),
    Zero("blackbox-exporter", KVM),
    Zero("postgres-exporter", KVM),
    Zero("gpu-exporter", CHI),
    Zero("prometheus-agent", CHI),
    Zero("device-plugin", CHI, (r"check_gpu::test_the_cluster_offers",), areas=("gpu", "onnx")),
    Zero("kuberay-operator", CHI),
    Zero(
        "ray",
        CHI,
        (r"check_ray::test_a_job_trains",),
        (r"check_ray::", r"check_tunnel::test_pods_reach"),
        ("ray", "tunnel"),
    ),
    Zero(
        "serving",
        CHI,
        (r"check_onnx::test_stage_is_ready", r"check_charts::test_a_pod_across"),
        (r"check_onnx::test_", r"check_tunnel::test_pods_reach"),
        ("onnx", "tunnel", "gpu"),
    ),
)

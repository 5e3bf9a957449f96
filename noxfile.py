"""All that must pass. `./tandem nox` runs lint, types, tests and the rehearsal with its verification.

The sessions share the venv that `./tandem` made from the lock: nothing is installed here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).resolve().parent))

from provision import checkout
from provision.paths import cache_dir
from provision.verification import side_by_side

nox.options.sessions = ["lint", "types", "tests", "bench_smoke", "rehearsal"]
nox.options.error_on_external_run = False

AREAS = (
    "lease",
    "storage",
    "storage_class",
    "object_store",
    "network",
    "reach",
    "exposure",
    "sealed",
    "nodes",
    "gpu",
    "kubespray",
    "secrets",
    "tunnel",
    "charts",
    "postgresql",
    "mlflow",
    "label_studio",
    "jupyter",
    "monitoring",
    "argocd",
    "capacity",
    "workflows",
    "ray",
    "onnx",
)
PACKAGES = ("provision", "rehearsal", "serving", "bench", "fuzz", "pipelines", "verify", "tests", "invocation")
PYTHON_FILES = (*PACKAGES, "tasks.py", "noxfile.py")


def _pytest_verify(session: nox.Session, *words: str) -> None:
    pytest = ("python", "-m", "pytest", "-c", "verify/pytest.ini", "--rootdir", ".", "--settled")
    session.run(*pytest, *words, *session.posargs, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Ruff over everything."""
    session.run("ruff", "check", ".", external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Strict mypy over everything."""
    session.run("mypy", *PYTHON_FILES, external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Offline tests: no socket, no subprocess, no sleep."""
    session.run("python", "-m", "pytest", *session.posargs, external=True)


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Ours beside its peers, each in a venv of its own: -- --rounds 5; writes docs/bench/. Not part of CI."""
    session.run("python", "-m", "bench", *session.posargs, external=True)


@nox.session(venv_backend="none")
def bench_smoke(session: nox.Session) -> None:
    """The same in seconds: ours and one small peer, no target judged, nothing written."""
    session.run("python", "-m", "bench", "--smoke", external=True)


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """The service with both models on loopback, by its OpenAPI document and byte by byte: -- --cases 20000 --seed 7."""
    session.run("python", "-m", "fuzz", *session.posargs, external=True)


@nox.session(venv_backend="none")
def charts(session: nox.Session) -> None:
    """Every chart, rendered and linted for every environment (helm: the one that the rehearsal resolved)."""
    session.env["PATH"] = os.pathsep.join([str(cache_dir() / "tools"), os.environ.get("PATH", "")])
    session.run("python", "-m", "tests.apps.render", external=True)


@nox.session(venv_backend="none")
def rules(session: nox.Session) -> None:
    """Prometheus' rules, by its own promtool: each alert fires where it should and stays silent where it should."""
    promtool = str(cache_dir() / "tools" / "promtool")  # nox looks for a bare name on its own PATH only
    for verb, folder in (("check", "apps/prometheus/chart/rules"), ("test", "tests/apps/rules")):
        session.run(promtool, verb, "rules", *sorted(map(str, Path(folder).glob("*.yaml"))), external=True)


@nox.session(venv_backend="none")
def kubespray(session: nox.Session) -> None:
    """Kubespray itself over the inventories of both environments: syntax, its validate_inventory, our lock. No host."""
    if reason := checkout.missing():
        session.skip(f"Kubespray itself: not run here ({reason})")
    session.run("python", "-m", "tests.kubespray_run", external=True)


@nox.session(venv_backend="none")
def rehearsal(session: nox.Session) -> None:
    """Nothing -> verified platform on this machine; again with zero changes; every check; then nothing is left."""
    session.env["TANDEM_ENV"] = "rehearsal"
    proven = False
    try:
        session.run("invoke", "provision.all", external=True)
        session.run("invoke", "provision.plan", "--check", external=True)
        charts(session)
        rules(session)
        _pytest_verify(session, *side_by_side(len(AREAS)))
        proven = True
    finally:
        session.run("invoke", "provision.destroy", "--data", "--yes", external=True)
        if not proven:  # said above too, but of a long log often the end alone is kept
            session.run("invoke", "provision.report", external=True)


@nox.session(venv_backend="none")
def verify(session: nox.Session) -> None:
    """Every live check, side by side, against a platform that stands: -- --env E --site S."""
    _pytest_verify(session, *side_by_side(len(AREAS)))


def _verify_area(area: str) -> None:
    @nox.session(name=f"verify({area})", venv_backend="none")
    def one(session: nox.Session) -> None:
        """The live checks of one area."""
        _pytest_verify(session, f"verify/check_{area}.py")


for _area in AREAS:
    _verify_area(_area)


@nox.session(venv_backend="none")
def contract(session: nox.Session) -> None:
    """What we rely on of the clouds' APIs, live, reads only: -- --env E [--writes] [--record FOLDER]."""
    pytest = ("python", "-m", "pytest", "-c", "verify/contract/pytest.ini", "--rootdir", ".")
    session.run(*pytest, *session.posargs, "verify/contract", external=True)


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Every fault of the testbed, injected one after the other, and the table of what tandem did."""
    session.notify("drill", ["verify/drills/drill_faults.py", *session.posargs])


@nox.session(venv_backend="none")
def drill(session: nox.Session) -> None:
    """Live tests that restart, cut, reschedule or overload; -- drill files to choose some."""
    files = session.posargs or [str(path) for path in sorted(Path("verify/drills").glob("drill_*.py"))]
    session.run(
        "python", "-m", "pytest", "-c", "verify/drills/pytest.ini", "--rootdir", ".", "-s", *files, external=True
    )

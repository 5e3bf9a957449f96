"""MLflow's model registry and artifacts over its REST API: what stages read, and what a promotion writes.

Why not mlflow-skinny: in one run on these cores it took 69 MB on disk, 81 MiB resident and 4.0 s to import; httpx took
26 MiB and 0.4 s. A stage has to be ready from its cache within 5 s, and needs four requests of the API.
Artifacts pass through MLflow's proxy, so that no process here needs a key of the object store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from serving.errors import TrackingFailed, TrackingRefused

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
SCHEME = "mlflow-artifacts:/"
ABSENT = "RESOURCE_DOES_NOT_EXIST"
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version. number: MLflow's own, from 1. source: the folder of its artifacts."""

    model: str
    number: str
    source: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Destination:
    """A run that artifacts are logged with."""

    run: str
    source: str


@dataclass(frozen=True, slots=True)
class Tracking:
    """MLflow, asked with one user's rights. Every call raises TrackingFailed, or TrackingRefused with MLflow's code."""

    client: httpx.Client = field(repr=False)  # its base_url is MLflow's; it holds the password

    def aliases(self, model: str) -> Mapping[str, str]:
        """Alias -> number of the version; empty for a model that nobody has registered."""
        try:
            told = self._ask("GET", f"{API}/registered-models/get", params={"name": model})
        except TrackingRefused as error:
            if error.code == ABSENT:
                return {}
            raise
        return {one["alias"]: str(one["version"]) for one in told["registered_model"].get("aliases", ())}

    def version(self, model: str, number: str) -> Version:
        """One version."""
        told = self._ask("GET", f"{API}/model-versions/get", params={"name": model, "version": number})
        return _version(told["model_version"])

    def versions(self, model: str) -> tuple[Version, ...]:
        """All versions of a model, newest first; none for a model that nobody has registered."""
        found: list[Version] = []
        asked = {"filter": f"name='{model}'", "max_results": "200"}
        while True:
            told = self._ask("GET", f"{API}/model-versions/search", params=asked)
            found += [_version(one) for one in told.get("model_versions", ())]
            if not told.get("next_page_token"):
                return tuple(sorted(found, key=lambda one: -int(one.number)))
            asked["page_token"] = told["next_page_token"]

    def set_alias(self, model: str, alias: str, number: str) -> None:
        """Let an alias name a version, whatever it named before."""
        self._ask("POST", f"{API}/registered-models/alias", json={"name": model, "alias": alias, "version": number})

    def delete_alias(self, model: str, alias: str) -> None:
        """Silent when there is none."""
        self._ask("DELETE", f"{API}/registered-models/alias", json={"name": model, "alias": alias})

    def tag(self, model: str, number: str, key: str, value: str) -> None:
        """Set one tag of a version."""
        body = {"name": model, "version": number, "key": key, "value": value}
        self._ask("POST", f"{API}/model-versions/set-tag", json=body)

    def ensure_model(self, model: str) -> None:
        """Register the name, unless it is."""
        try:
            self._ask("POST", f"{API}/registered-models/create", json={"name": model})
        except TrackingRefused as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise

    def open_run(self, experiment: str, name: str) -> Destination:
        """A new run of an experiment, which is made when there is none."""
        body = {"experiment_id": self._experiment(experiment), "run_name": name}
        info = self._ask("POST", f"{API}/runs/create", json=body)["run"]["info"]
        return Destination(info["run_id"], info["artifact_uri"])

    def close_run(self, run: str) -> None:
        """All has been logged."""
        self._ask("POST", f"{API}/runs/update", json={"run_id": run, "status": "FINISHED"})

    def create_version(self, model: str, at: Destination, tags: Mapping[str, str]) -> Version:
        """A version whose files are those of a run."""
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        body = {"name": model, "source": at.source, "run_id": at.run, "tags": pairs}
        return _version(self._ask("POST", f"{API}/model-versions/create", json=body)["model_version"])

    def upload(self, source: str, file: Path) -> None:
        """Put one file into an artifact folder, read in pieces."""
        with file.open("rb") as content:
            size = {"Content-Length": str(file.stat().st_size)}
            self._ask("PUT", _artifact(source, file.name), content=content, headers=size)

    def download(self, source: str, name: str, target: Path) -> None:
        """Get one file of an artifact folder, written in pieces."""
        try:
            with self.client.stream("GET", _artifact(source, name)) as answer, target.open("wb") as file:
                _require(answer)
                for piece in answer.iter_bytes(PIECE):
                    file.write(piece)
        except httpx.HTTPError as error:
            raise TrackingFailed(f"MLflow: {name}: {_said(error)}") from error

    def _experiment(self, name: str) -> str:
        try:
            told = self._ask("GET", f"{API}/experiments/get-by-name", params={"experiment_name": name})
            return str(told["experiment"]["experiment_id"])
        except TrackingRefused as error:
            if error.code != ABSENT:
                raise
        return str(self._ask("POST", f"{API}/experiments/create", json={"name": name})["experiment_id"])

    def _ask(self, method: str, path: str, **rest: Any) -> Any:
        try:
            answer = self.client.request(method, path, **rest)
            _require(answer)
            return answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise TrackingFailed(f"MLflow: {method} {path}: {_said(error)}") from error


def _require(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    answer.read()
    what = f"MLflow: {answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
    if answer.status_code >= 500:
        raise TrackingFailed(what)
    try:
        code = str(answer.json()["error_code"])
    except (ValueError, LookupError, TypeError):
        code = ""  # a proxy's page, or a login that was refused
    raise TrackingRefused(what, code)


def _version(told: Mapping[str, Any]) -> Version:
    tags = {one["key"]: one["value"] for one in told.get("tags", ())}
    return Version(told["name"], str(told["version"]), told["source"], tags)


def _artifact(source: str, name: str) -> str:
    """The proxy's path of a file. Raises TrackingRefused for a source that lies elsewhere."""
    if not source.startswith(SCHEME):
        raise TrackingRefused(f"artifacts at {source.partition(':')[0]}: do not pass through MLflow", "")
    return f"{ARTIFACTS}/{quote(source.removeprefix(SCHEME).strip('/'))}/{quote(name)}"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")

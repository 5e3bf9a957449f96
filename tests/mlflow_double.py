"""MLflow's registry and artifact proxy in memory, in the shapes that 3.17.2 answers, behind httpx's MockTransport."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from serving import manifest
from serving.tracking import API, ARTIFACTS, Tracking


@dataclass
class Mlflow:
    """What it holds, and how it fails. asked: `METHOD /last/part` of every request."""

    models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    status: int = 0  # every answer's, unless 0

    @property
    def tracking(self) -> Tracking:
        """A client of it."""
        return Tracking(httpx.Client(base_url="http://mlflow", transport=httpx.MockTransport(self.answer)))

    def tags(self, model: str, number: str) -> dict[str, str]:
        """Of a version."""
        return {tag["key"]: tag["value"] for tag in self.models[model][int(number) - 1]["tags"]}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        path = request.url.path
        self.asked.append(f"{request.method} {path.removeprefix(API)}")
        if self.is_down:
            raise httpx.ConnectError("connection refused", request=request)
        if self.status:
            return httpx.Response(self.status, text="You are not authenticated.")
        if path.startswith(ARTIFACTS):
            return self._artifact(request, path.removeprefix(f"{ARTIFACTS}/"))
        body = json.loads(request.content) if request.content else dict(request.url.params)
        try:
            return httpx.Response(200, json=ANSWERS[request.method, path.removeprefix(API)](self, body))
        except Refusal as refusal:
            return httpx.Response(refusal.status, json={"error_code": refusal.code, "message": str(refusal)})

    def _artifact(self, request: httpx.Request, name: str) -> httpx.Response:
        if request.method == "PUT":
            self.artifacts[name] = request.read()
            return httpx.Response(200, json={})
        if name not in self.artifacts:
            return httpx.Response(404, json={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": name})
        return httpx.Response(200, content=self.artifacts[name])

    def named(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The versions of a model."""
        if body["name"] not in self.models:
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={body['name']} not found")
        return self.models[body["name"]]

    def version(self, body: dict[str, Any]) -> dict[str, Any]:
        """One version."""
        found = self.named(body)
        if not 1 <= int(body["version"]) <= len(found):
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", "Model Version not found")
        return found[int(body["version"]) - 1]


class Refusal(Exception):
    """What MLflow answers instead."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def _create_model(held: Mlflow, body: dict[str, Any]) -> Any:
    if body["name"] in held.models:
        raise Refusal(400, "RESOURCE_ALREADY_EXISTS", f"Registered Model (name={body['name']}) already exists.")
    held.models[body["name"]], held.aliases[body["name"]] = [], {}
    return {"registered_model": {"name": body["name"]}}


def _get_model(held: Mlflow, body: dict[str, Any]) -> Any:
    held.named(body)
    known = [{"alias": alias, "version": number} for alias, number in held.aliases[body["name"]].items()]
    return {"registered_model": {"name": body["name"], **({"aliases": known} if known else {})}}


def _create_version(held: Mlflow, body: dict[str, Any]) -> Any:
    run = body["source"].rsplit("/", 2)[1]
    if run != body["run_id"]:
        raise Refusal(400, "INVALID_PARAMETER_VALUE", "Invalid model version source")
    found = held.named(body)
    found.append({**body, "version": str(len(found) + 1), "status": "READY"})
    return {"model_version": found[-1]}


def _search(held: Mlflow, body: dict[str, Any]) -> Any:
    name = body["filter"].removeprefix("name='").removesuffix("'")
    found, start = held.models.get(name, [])[::-1], int(body.get("page_token", 0))
    page = {"model_versions": found[start : start + 1]} if found else {}  # small pages, so that they are turned
    return page | ({"next_page_token": str(start + 1)} if start + 1 < len(found) else {})


def _set_alias(held: Mlflow, body: dict[str, Any]) -> Any:
    held.version(body)
    held.aliases[body["name"]][body["alias"]] = body["version"]
    return {}


def _delete_alias(held: Mlflow, body: dict[str, Any]) -> Any:
    held.named(body)
    held.aliases[body["name"]].pop(body["alias"], None)
    return {}


def _tag(held: Mlflow, body: dict[str, Any]) -> Any:
    tags = held.version(body)["tags"]
    tags[:] = [tag for tag in tags if tag["key"] != body["key"]] + [{"key": body["key"], "value": body["value"]}]
    return {}


def _experiment(held: Mlflow, body: dict[str, Any]) -> Any:
    if body["experiment_name"] not in held.experiments:
        raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment")
    return {"experiment": {"experiment_id": held.experiments[body["experiment_name"]]}}


def _create_experiment(held: Mlflow, body: dict[str, Any]) -> Any:
    return {"experiment_id": held.experiments.setdefault(body["name"], "7")}


def _run(held: Mlflow, body: dict[str, Any]) -> Any:
    run = f"run{len(held.asked)}"
    uri = f"mlflow-artifacts:/{body['experiment_id']}/{run}/artifacts"
    return {"run": {"info": {"run_id": run, "artifact_uri": uri}}}


ANSWERS: dict[tuple[str, str], Callable[[Mlflow, dict[str, Any]], Any]] = {
    ("POST", "/registered-models/create"): _create_model,
    ("GET", "/registered-models/get"): _get_model,
    ("POST", "/registered-models/alias"): _set_alias,
    ("DELETE", "/registered-models/alias"): _delete_alias,
    ("GET", "/model-versions/get"): lambda held, body: {"model_version": held.version(body)},
    ("GET", "/model-versions/search"): _search,
    ("POST", "/model-versions/create"): _create_version,
    ("POST", "/model-versions/set-tag"): _tag,
    ("GET", "/experiments/get-by-name"): _experiment,
    ("POST", "/experiments/create"): lambda held, body: {
        "experiment_id": held.experiments.setdefault(body["name"], "7")
    },
    ("POST", "/runs/create"): _run,
    ("POST", "/runs/update"): lambda _held, _body: {},
}


def write_model(folder: Path, version: str = "1", **files: str) -> Path:
    """A folder with a manifest of two files; what is in them does not matter here."""
    folder.mkdir(parents=True)
    for name, content in {"model.onnx": f"graph {version}", "golden.json": "{}", **files}.items():
        (folder / name).write_text(content)
    listed = {path.name: manifest.sha256(path) for path in sorted(folder.iterdir())}
    about = {"name": "fake", "version": version, "precision": "fp32", "files": listed}
    (folder / manifest.MANIFEST).write_text(json.dumps(about))
    return folder


def folders(root: Path) -> Iterator[Path]:
    """One model folder after the other, versions 1, 2, …"""
    number = 0
    while True:
        number += 1
        yield write_model(root / f"model{number}", str(number))

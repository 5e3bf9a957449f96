"""One request to a Service of a site, sent from its entry node with curl: names, keys and bodies go through stdin."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from provision.site import Site

ANSWER_S = 30.0


@dataclass(frozen=True)
class Web:
    """A Service, asked by the name that applications use. headers: sent with every request; no repr, they hold keys."""

    site: Site
    namespace: str
    service: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ask(self, method: str, path: str, body: Any = None, *, text: str = "", answer_s: float = ANSWER_S) -> Any:
        """The answer's JSON, {} for none; `body` is sent as JSON, `text` as it is. Raises CommandFailed."""
        data = text or (json.dumps(body) if body is not None else "")
        lines = [
            f"url = {json.dumps(f'http://{self.address}:{self.port}/{path}')}",
            f"request = {method}",
            *(f"header = {json.dumps(f'{name}: {value}')}" for name, value in self._headers(bool(body)).items()),
            *([f"data-binary = {json.dumps(data)}"] if data else []),
        ]
        words = ["curl", "-sS", "--fail-with-body", "--max-time", f"{answer_s:.0f}", "-K", "-"]
        answer = self.site.hosts.run(
            self.site.own.entry.name, words, stdin="\n".join(lines), deadline_s=answer_s + 10
        ).stdout
        return json.loads(answer) if answer.strip() else {}

    def _headers(self, is_json: bool) -> Mapping[str, str]:
        kind = {"Content-Type": "application/json"} if is_json else {}
        return {"Host": f"{self.service}.{self.namespace}.svc:{self.port}", **kind, **self.headers}

    @cached_property
    def address(self) -> str:
        """Its ClusterIP: hosts know no cluster DNS."""
        (found,) = self.site.kube.get("service", namespace=self.namespace, name=self.service)
        return str(found["spec"]["clusterIP"])


def basic(user: str, password: str) -> Mapping[str, str]:
    """The header of basic authentication."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def mlflow(site: Site) -> Web:
    """MLflow, as its admin."""
    return Web(site, "mlflow", "mlflow", 5000, basic("admin", site.vault.read()["mlflow"]["password"]))


def label_studio(site: Site) -> Web:
    """Label Studio, with its admin's token."""
    token = site.vault.read()["label-studio"]["token"]
    return Web(site, "label-studio", "label-studio", 8080, {"Authorization": f"Token {token}"})


def jupyter(site: Site) -> Web:
    """JupyterLab, with its token."""
    return Web(site, "jupyter", "jupyter", 8888, {"Authorization": f"token {site.vault.read()['jupyter']['token']}"})

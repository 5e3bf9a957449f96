"""MLflow: a run logged through its API is found in its database's answers, its artifact in the bucket itself.

What stays: MLflow removes for good only by `mlflow gc`, so the experiment `tandem-verify` and one run a check stay
behind as deleted ones, without artifacts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from provision.errors import CheckFailed
from provision.site import Site
from verify import timing
from verify.forward import Bucket, bucket, client

NAME = "tandem-verify"
ARTIFACT, CONTENT = "note.txt", b"written through MLflow, read from the bucket"
METRIC, VALUE = "cosine", 0.99921875  # exact in binary
API, ARTIFACTS = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
SEARCH = f"{API}/experiments/search?max_results=1"
CLOSED = {"runs": SEARCH, "artifacts": f"{ARTIFACTS}?path=", "users": f"{API}/users/list", "page": "/"}
NOBODY = {"no-password": None, "wrong-password": httpx.BasicAuth("admin", "wrong")}
WRITES = {"alias": "registered-models/alias", "tag": "model-versions/set-tag"}
HOSTS = ("mlflow.mlflow.svc", "mlflow.mlflow.svc:5000", "mlflow.tandem-link.svc:5000", "localhost:5000")

pytestmark = pytest.mark.sites("kvm-tacc")


@pytest.fixture(scope="module")
def anybody(site: Site, budget: Callable[[str], float]) -> Iterator[httpx.Client]:
    """Somebody without a password."""
    with client(site, "mlflow", "mlflow", 5000, answer_s=budget("mlflow.answer_s")) as asking:
        yield asking


@pytest.fixture(scope="module")
def admin(site: Site) -> httpx.BasicAuth:
    """The admin; no repr of it tells the password."""
    return httpx.BasicAuth("admin", site.vault.read()["mlflow"]["password"])


@pytest.fixture(scope="module")
def own(site: Site, budget: Callable[[str], float]) -> Iterator[Bucket]:
    """MLflow's bucket, without MLflow."""
    with bucket(site, "mlflow", "mlflow", answer_s=budget("mlflow.answer_s")) as held:
        yield held


def test_a_run_is_logged_and_its_artifact_lies_in_the_bucket(
    anybody: httpx.Client,
    admin: httpx.BasicAuth,
    own: Bucket,
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """Run, metric and artifact written; read back by search and from the bucket; removed, and gone from the bucket."""
    ask = asking(anybody, admin)
    bound_ms, tries = budget("mlflow.transaction_ms"), budget("timing.tries")
    quick, took = timing.within(lambda: log_and_read_back(ask, own), bound_ms, tries)
    figure(f"run, metric, artifact of {len(CONTENT)} bytes: {took}")
    assert quick, took


@pytest.mark.parametrize("path", CLOSED.values(), ids=CLOSED)
@pytest.mark.parametrize("who", NOBODY.values(), ids=NOBODY)
def test_nobody_gets_in_without_the_password(who: httpx.BasicAuth | None, path: str, anybody: httpx.Client) -> None:
    """Runs, artifacts, users and the page itself."""
    assert anybody.get(path, auth=who or httpx.USE_CLIENT_DEFAULT).status_code == 401


@pytest.mark.parametrize("host", HOSTS)
def test_it_answers_to_the_names_that_clients_use(host: str, anybody: httpx.Client, admin: httpx.BasicAuth) -> None:
    """With and without the port, and by the name of the other site."""
    assert anybody.get(SEARCH, auth=admin, headers={"Host": host}).status_code == 200


def test_it_answers_to_no_other_name(anybody: httpx.Client, admin: httpx.BasicAuth) -> None:
    """A page of somebody else's whose name was made to lead here has no use of it."""
    assert anybody.get(SEARCH, auth=admin, headers={"Host": "example.org"}).status_code == 403


@pytest.mark.parametrize("path", WRITES.values(), ids=WRITES)
def test_who_serves_reads_and_writes_nothing(path: str, anybody: httpx.Client, site: Site) -> None:
    """The user of the stages sees the registry; a model of somebody else's it cannot touch."""
    reader = httpx.BasicAuth("serving", site.vault.read()["mlflow-serving"]["password"])
    assert anybody.get(f"{API}/registered-models/search?max_results=1", auth=reader).status_code == 200
    body = {"name": "embedder", "alias": NAME, "version": "1", "key": NAME, "value": NAME}
    assert anybody.post(f"{API}/{path}", auth=reader, json=body).status_code == 403


def test_it_runs_nobodys_jobs(anybody: httpx.Client, admin: httpx.BasicAuth) -> None:
    """A job that MLflow knows is refused to its admin too."""
    answer = anybody.post("/ajax-api/3.0/jobs/", auth=admin, json={"job_name": "optimize_prompts", "params": {}})
    assert "job execution feature is not enabled" in answer.json()["detail"]


def asking(anybody: httpx.Client, admin: httpx.BasicAuth) -> Callable[..., Any]:
    """ask(method, path, ...): the answer's JSON; anything but 200 fails the check with what MLflow said."""

    def ask(method: str, path: str, **rest: Any) -> Any:
        answer = anybody.request(method, path, auth=admin, **rest)
        if answer.status_code != 200:
            raise CheckFailed(f"mlflow: {method} {path}: {answer.status_code}", why=answer.text[:500])
        return answer.json() if answer.content else {}

    return ask


def log_and_read_back(ask: Callable[..., Any], own: Bucket) -> None:
    """The whole transaction; nothing of it is left."""
    experiment = experiment_of(ask)
    run = ask("POST", f"{API}/runs/create", json={"experiment_id": experiment, "run_name": NAME})["run"]["info"]
    folder = f"{experiment}/{run['run_id']}/artifacts"
    try:
        ask("POST", f"{API}/runs/log-metric", json=metric(run["run_id"]))
        ask("PUT", f"{ARTIFACTS}/{folder}/{ARTIFACT}", content=CONTENT)
        found = ask(
            "POST", f"{API}/runs/search", json={"experiment_ids": [experiment], "filter": f"metrics.{METRIC} > 0"}
        )
        stored = own.ask("GET", f"{folder}/{ARTIFACT}")
    finally:
        ask("DELETE", f"{ARTIFACTS}/{folder}")
        ask("POST", f"{API}/runs/delete", json={"run_id": run["run_id"]})
        ask("POST", f"{API}/experiments/delete", json={"experiment_id": experiment})
    left = own.ask("GET", f"{folder}/{ARTIFACT}").status_code
    (seen,) = [one for one in found["runs"] if one["info"]["run_id"] == run["run_id"]]
    assert [(one["key"], one["value"]) for one in seen["data"]["metrics"]] == [(METRIC, VALUE)]
    assert (stored.status_code, stored.content) == (200, CONTENT)
    assert left == 404


def experiment_of(ask: Callable[..., Any]) -> str:
    """The experiment of the checks, taken back from the deleted ones when there is one: a name is given out once."""
    both = {"filter": f"name = '{NAME}'", "view_type": "ALL", "max_results": 1}
    found = ask("POST", f"{API}/experiments/search", json=both).get("experiments", ())
    if not found:
        return str(ask("POST", f"{API}/experiments/create", json={"name": NAME})["experiment_id"])
    if found[0]["lifecycle_stage"] == "deleted":
        ask("POST", f"{API}/experiments/restore", json={"experiment_id": found[0]["experiment_id"]})
    return str(found[0]["experiment_id"])


def metric(run: str) -> Mapping[str, object]:
    """One measurement at a fixed time."""
    return {"run_id": run, "key": METRIC, "value": VALUE, "timestamp": 1, "step": 0}

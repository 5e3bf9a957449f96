"""JupyterLab: a notebook through its server asks both sites; what it printed lies on the volume. Then it is gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from provision import releases, values
from provision.appsecrets import LINK_NAMESPACE
from provision.site import Site
from verify import timing
from verify.forward import client
from verify.kernel import Notebook

PATH = "tandem-verify.ipynb"
HOME = "/home/ray"
TEXT = "A notebook asks for the vector of a sentence."
STAGE, DIMENSIONS = "staging", 384
CLOSED = ("/api/contents", "/api/kernels", "/api/sessions", "/api/terminals", "/lab")
NOBODY: Mapping[str, Mapping[str, str]] = {"no-token": {}, "wrong-token": {"Authorization": "token wrong"}}
# Each cell prints one line of JSON. Addresses and keys are those of the environment, as a person's notebook has them.
CELLS = {
    "postgresql": """
import json, os, psycopg
with psycopg.connect() as database:
    row = database.execute("SELECT current_user, current_database(), (SELECT count(*) FROM chunks)").fetchone()
print(json.dumps(row))
""",
    "serving": f"""
import urllib.request
def ask(url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {{"Content-Type": "application/json", **headers}})
    return json.load(urllib.request.urlopen(request, timeout=20))
answer = ask("http://serving-{STAGE}.{LINK_NAMESPACE}.svc:8000/embed", {{"texts": ["{TEXT}"]}})
print(json.dumps(len(answer["embeddings"][0])))
""",
    "ray": f"""
token = os.environ["RAY_AUTH_TOKEN"]
version = ask("http://ray-dashboard.{LINK_NAMESPACE}.svc:8265/api/version", Authorization="Bearer " + token)
print(json.dumps(version["ray_version"]))
""",
    "mlflow": """
import base64
pair = os.environ["MLFLOW_TRACKING_USERNAME"] + ":" + os.environ["MLFLOW_TRACKING_PASSWORD"]
basic = "Basic " + base64.b64encode(pair.encode()).decode()
address = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
print(json.dumps(ask(address, Authorization=basic)["experiment"]["experiment_id"]))
""",
    "s3": """
import boto3
listed = boto3.client("s3").list_objects_v2(Bucket=os.environ["PLATFORM"] + "-chi-uc-arxiv-text", MaxKeys=1)
print(json.dumps(listed["ResponseMetadata"]["HTTPStatusCode"]))
""",
}


@pytest.fixture(scope="module")
def anybody(both: tuple[Site, Site], budget: Callable[[str], float]) -> Iterator[httpx.Client]:
    """Somebody without the token."""
    with client(both[0], "jupyter", "jupyter", 8888, answer_s=budget("jupyter.answer_s")) as asking:
        yield asking


@pytest.fixture
def notebook(anybody: httpx.Client, both: tuple[Site, Site], budget: Callable[[str], float]) -> Iterator[Notebook]:
    """The notebook of the checks, not there before and not afterwards."""
    token = {"Authorization": f"token {both[0].vault.read()['jupyter']['token']}"}
    with httpx.Client(
        base_url=anybody.base_url, headers=token, timeout=budget("jupyter.answer_s"), trust_env=False
    ) as asking:
        made = Notebook(asking, PATH, [cell.strip() for cell in CELLS.values()], budget("jupyter.cell_s"))
        made.remove()
        yield made
        made.remove()


def test_a_notebook_asks_both_sites(
    notebook: Notebook, both: tuple[Site, Site], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """PostgreSQL, MLflow and S3 here; a serving stage and Ray through the link: each by its own environment's keys."""
    ran: list[Mapping[str, Any]] = []  # of each try; the last is on the volume
    bound_ms, tries = budget("jupyter.transaction_ms"), budget("timing.tries")
    quick, took = timing.within(lambda: ran.append(outputs(notebook)), bound_ms, tries)
    told = ran[-1]
    figure(f"{len(CELLS)} cells in a new kernel: {took}; {told['postgresql'][2]} chunks, Ray {told['ray']}")
    assert told["postgresql"][:2] == ["jupyter", "tandem"]
    assert told["serving"] == DIMENSIONS
    assert told["mlflow"] == "0"
    assert told["s3"] == 200
    assert told["ray"] == ray_version(both[1])
    assert on_the_volume(both[0]) == told
    assert quick, took


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("who", NOBODY.values(), ids=NOBODY)
def test_nobody_gets_in_without_the_token(who: Mapping[str, str], path: str, anybody: httpx.Client) -> None:
    """Files, kernels, terminals; the page leads to the login."""
    assert anybody.get(path, headers=who).status_code in {302, 403}


def outputs(notebook: Notebook) -> Mapping[str, Any]:
    """Cell -> what it printed, in a new kernel."""
    return dict(zip(CELLS, map(json.loads, notebook.run()), strict=True))


def on_the_volume(site: Site) -> Mapping[str, Any]:
    """What the cells printed, from the file as it lies in the home."""
    words = ("exec", "-n", "jupyter", "statefulset/jupyter", "--", "cat", f"{HOME}/{PATH}")
    cells = json.loads(site.kube.run(*words).stdout)["cells"]
    return dict(zip(CELLS, (json.loads("".join(cell["outputs"][0]["text"])) for cell in cells), strict=True))


def ray_version(site: Site) -> str:
    """The version that the RayCluster's release names."""
    return str(values.of(releases.named("ray", site.name, site.settings), site.settings)["rayVersion"])

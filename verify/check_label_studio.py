"""Label Studio: a task of its bucket and one of its API, annotated, exported, found in its database; then removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from provision.errors import CheckFailed
from provision.site import Site
from verify import timing
from verify.forward import Bucket, bucket, client

NAME = "tandem-verify"
OBJECT = f"{NAME}/task.json"
TEXTS = {"bucket": "This one lay in the bucket.", "api": "This one came by the API."}
CHOICE = "speech"
CONFIG = """
<View><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="graphs"/><Choice value="speech"/></Choices></View>
"""
RESULT = [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [CHOICE]}}]
CLOSED = ("/api/projects/", "/api/users/", "/api/storages/s3/?project=1", "/api/tasks/1/")
NOBODY: Mapping[str, Mapping[str, str]] = {
    "no-token": {},
    "wrong-token": {"Authorization": "Token 0123456789012345678901234567890123456789"},
}
PSQL = ("exec", "-i", "-n", "data", "statefulset/postgresql", "-c", "postgresql", "--")

pytestmark = pytest.mark.sites("kvm-tacc")


@dataclass(frozen=True)
class Admin:
    """The API with the admin's token, which no repr shows."""

    anybody: httpx.Client
    token: Mapping[str, str] = field(repr=False)

    def ask(self, method: str, path: str, **rest: Any) -> Any:
        """The answer's JSON; anything but 2xx fails the check with what Label Studio said."""
        answer = self.anybody.request(method, path, headers=self.token, **rest)
        if not answer.is_success:
            raise CheckFailed(f"label-studio: {method} {path}: {answer.status_code}", why=answer.text[:500])
        return answer.json() if answer.content else {}

    def remove(self) -> None:
        """Every project of the checks: that of a killed one too."""
        for project in self.ask("GET", "/api/projects/", params={"title": NAME})["results"]:
            if project["title"] == NAME:
                self.ask("DELETE", f"/api/projects/{project['id']}/")


@pytest.fixture(scope="module")
def anybody(site: Site, budget: Callable[[str], float]) -> Iterator[httpx.Client]:
    """Somebody without a token."""
    with client(site, "label-studio", "label-studio", 8080, answer_s=budget("label_studio.answer_s")) as asking:
        yield asking


@pytest.fixture
def admin(site: Site, anybody: httpx.Client) -> Iterator[Admin]:
    """Label Studio without a project of the checks, before and after."""
    made = Admin(anybody, {"Authorization": f"Token {site.vault.read()['label-studio']['token']}"})
    made.remove()
    yield made
    made.remove()


@pytest.fixture
def source(site: Site, budget: Callable[[str], float]) -> Iterator[Bucket]:
    """Label Studio's bucket with a task in it."""
    with bucket(site, "label-studio", "label-studio", answer_s=budget("label_studio.answer_s")) as held:
        put = held.ask("PUT", OBJECT, json.dumps({"text": TEXTS["bucket"]}).encode())
        assert put.status_code == 200, put.text
        yield held
        held.ask("DELETE", OBJECT)


def test_tasks_are_annotated_and_exported(
    admin: Admin, source: Bucket, site: Site, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Both tasks get an annotation; the export tells both, and so does the database."""
    bound_ms, tries = budget("label_studio.transaction_ms"), budget("timing.tries")
    quick, took = timing.within(lambda: annotate_and_export(admin, source, site), bound_ms, tries)
    figure(f"{len(TEXTS)} tasks imported, annotated, exported, removed: {took}")
    assert quick, took


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("who", NOBODY.values(), ids=NOBODY)
def test_nobody_gets_in_without_the_token(who: Mapping[str, str], path: str, anybody: httpx.Client) -> None:
    """Projects, people, sources and tasks."""
    assert anybody.get(path, headers=who).status_code == 401


def test_nobody_signs_up_uninvited(anybody: httpx.Client) -> None:
    """The form is there for those who were invited; without the invitation it is refused."""
    page = anybody.get("/user/signup/")
    given = {"csrfmiddlewaretoken": page.cookies["csrftoken"], "email": f"{NAME}@example.org", "password": NAME * 2}
    assert anybody.post("/user/signup/", data=given).status_code == 403


def annotate_and_export(admin: Admin, source: Bucket, site: Site) -> None:
    """The whole transaction; nothing of it is left."""
    project = admin.ask("POST", "/api/projects/", json={"title": NAME, "label_config": CONFIG})["id"]
    sync(admin, project, source)
    admin.ask("POST", f"/api/projects/{project}/import", json=[{"data": {"text": TEXTS["api"]}}])
    for task in admin.ask("GET", "/api/tasks", params={"project": project})["tasks"]:
        admin.ask("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": RESULT})
    exported = admin.ask("GET", f"/api/projects/{project}/export", params={"exportType": "JSON"})
    stored = rows(site, project)
    admin.remove()
    left = rows(site, project)
    assert {task["data"]["text"]: chosen(task) for task in exported} == dict.fromkeys(TEXTS.values(), CHOICE)
    assert stored == dict.fromkeys(TEXTS.values(), CHOICE)
    assert left == {}


def sync(admin: Admin, project: int, source: Bucket) -> None:
    """A source storage as a person makes it, by bucket and folder: endpoint and key are the platform's."""
    wanted = {"project": project, "title": NAME, "bucket": source.name, "prefix": NAME, "presign": False}
    storage = admin.ask("POST", "/api/storages/s3", json=wanted)["id"]
    told = admin.ask("POST", f"/api/storages/s3/{storage}/sync")
    assert told["status"] == "completed", told


def chosen(task: Mapping[str, Any]) -> str:
    """The one choice of a task's one annotation."""
    (annotation,) = task["annotations"]
    return str(annotation["result"][0]["value"]["choices"][0])


def rows(site: Site, project: int) -> Mapping[str, str]:
    """Text -> choice of a project's annotations, from the tables."""
    sql = (
        "SELECT json_object_agg(task.data->>'text', annotation.result->0->'value'->'choices'->>0) "
        "FROM task JOIN task_completion AS annotation ON annotation.task_id = task.id "
        f"WHERE task.project_id = {project}"
    )
    words = ("psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "label_studio", "-v", "ON_ERROR_STOP=1", "-qAt")
    return dict(json.loads(site.kube.run(*PSQL, *words, stdin=f"{sql};").stdout.strip() or "{}"))

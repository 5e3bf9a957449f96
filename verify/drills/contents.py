"""Something of ours in every application that keeps what people make: a run, an annotation, a notebook, vectors."""

from __future__ import annotations

from provision.errors import CommandFailed
from provision.site import Site
from verify.drills import holdings
from verify.drills.web import jupyter, label_studio, mlflow

NAME = "tandem-verify-rebuild"
NOTEBOOK = f"api/contents/{NAME}.ipynb"
# JupyterLab moves what is deleted into a folder of its own.
TRASH = f"find /mnt/block/jupyter_* -path '*/Trash/*' -name '{NAME}*' -delete"
CHUNKS = 100
VECTOR = "ARRAY(SELECT random() + 0 * n FROM generate_series(1, 384))::vector"  # another one for each n
VECTORS = f"""
INSERT INTO chunks (document, position, text, embedding, model, model_version, precision)
SELECT '{NAME}', n, 'piece ' || n, {VECTOR}, '{NAME}', '1', 'fp32' FROM generate_series(1, {CHUNKS}) AS n;
"""
LABELS = (
    '<View><Text name="text" value="$text"/><Choices name="kind" toName="text"><Choice value="kept"/></Choices></View>'
)
KEPT = [{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": ["kept"]}}]


def make(site: Site) -> None:
    """All of it; what an earlier, killed drill left is taken away first."""
    remove(site)
    holdings.psql(site, "tandem", VECTORS)
    _run(site)
    _annotation(site)
    cell: dict[str, object] = {
        "cell_type": "code",
        "source": NAME,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "id": "kept",
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    jupyter(site).ask("PUT", NOTEBOOK, {"type": "notebook", "format": "json", "content": content})


def remove(site: Site) -> None:
    """All of it, as far as it is there."""
    holdings.psql(site, "tandem", f"DELETE FROM chunks WHERE document = '{NAME}';")
    web, named = mlflow(site), {"max_results": 100, "filter": f"name = '{NAME}'"}
    for experiment in web.ask("POST", "api/2.0/mlflow/experiments/search", named).get("experiments", ()):
        # Deleted experiments keep their name: the next drill needs it.
        here = {"experiment_id": experiment["experiment_id"]}
        web.ask("POST", "api/2.0/mlflow/experiments/update", {**here, "new_name": f"{NAME}-{here['experiment_id']}"})
        web.ask("POST", "api/2.0/mlflow/experiments/delete", here)
    studio = label_studio(site)
    for project in studio.ask("GET", "api/projects?page_size=1000")["results"]:
        if project["title"] == NAME:
            studio.ask("DELETE", f"api/projects/{project['id']}")
    try:
        jupyter(site).ask("DELETE", NOTEBOOK)
    except CommandFailed as gone:
        if "404" not in str(gone):
            raise
    site.hosts.script(site.own.entry.name, TRASH)


def _run(site: Site) -> None:
    """A run with a parameter and an artifact."""
    web = mlflow(site)
    experiment = web.ask("POST", "api/2.0/mlflow/experiments/create", {"name": NAME})["experiment_id"]
    run = web.ask("POST", "api/2.0/mlflow/runs/create", {"experiment_id": experiment, "run_name": NAME})["run"]["info"]
    web.ask("POST", "api/2.0/mlflow/runs/log-parameter", {"run_id": run["run_id"], "key": "seed", "value": "1"})
    web.ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts/note.txt", text=NAME)


def _annotation(site: Site) -> None:
    """A project with one text that somebody has judged."""
    studio = label_studio(site)
    project = studio.ask("POST", "api/projects", {"title": NAME, "label_config": LABELS})["id"]
    studio.ask("POST", f"api/projects/{project}/import", [{"text": NAME}])
    (task,) = studio.ask("GET", f"api/tasks?project={project}")["tasks"]
    studio.ask("POST", f"api/tasks/{task['id']}/annotations", {"result": KEPT})

"""Ten papers and four files that are none go in, ten questions come out right; again, and with a pod killed on the way.

Everything lies below `tandem-verify/` and is removed in the end, wherever it got to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from provision import gateway, pipelines, s3
from provision.pipelines import ARCHIVE, KEY, KIND, PSQL, Runs
from provision.settings import Settings
from provision.shell import Result
from provision.site import Site
from provision.threads import interruptible
from provision.wait import wait_until
from verify.drills.cli import Answer, Cli
from verify.drills.papers import PAPERS, PREFIX, others

NAMESPACE = "argo"
ANSWER_S = 30
ENDED = ("Succeeded", "Failed")
OVER = "over"
RIGHTLY = f"prefix={PREFIX}"
COUNTS = f"""
SELECT coalesce(json_object_agg(document, said), '{{}}') FROM (
  SELECT document, count(*) || ' ' || md5(string_agg(text, ' ' ORDER BY position)) AS said
  FROM chunks WHERE starts_with(document, '{PREFIX}') GROUP BY document) AS each;
"""
FORGET = f"DELETE FROM chunks WHERE starts_with(document, '{PREFIX}');"
HOLDER = "tandem-verify-holds-chunks"
HOLD = f"SET application_name = '{HOLDER}'; BEGIN; LOCK TABLE chunks IN EXCLUSIVE MODE; SELECT pg_sleep(:name);"
LET_GO = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{HOLDER}';"
WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
WHERE relname = 'chunks' AND mode = 'RowExclusiveLock' AND NOT granted;
"""
FORGET_RUN = "DELETE FROM argo_archived_workflows WHERE name = :'name';"


@dataclass(frozen=True)
class Corpus:
    """Where the papers go in and what becomes of them. key: the store's own, for what is put in and looked up."""

    runs: Runs
    key: s3.Key
    platform: str

    def ask_store(self, method: str, container: str, key: str, data: bytes | None = None) -> bytes:
        """One request to the object store itself, past the gateway that the pipeline uses."""
        url = s3.presigned(self.key, method, f"/{self.platform}-chi-uc-{container}/{key}")
        answer = requests.request(method, url, data=data, timeout=ANSWER_S)
        if method != "DELETE":
            answer.raise_for_status()
        return answer.content

    def put(self) -> None:
        """All papers and the four other files."""
        files = {paper.key: paper.pdf for paper in PAPERS} | {key: data for key, (data, _) in others().items()}
        for key, data in files.items():
            self.ask_store("PUT", "arxiv-raw", key, data)

    def counts(self) -> Mapping[str, str]:
        """Document -> how many chunks it has, and a hash over them."""
        return dict(json.loads(self.sql(COUNTS, "tandem")))

    def report(self, workflow: str) -> Mapping[str, Any]:
        """What a run reported."""
        return dict(json.loads(self.ask_store("GET", "arxiv-text", f"reports/{workflow}.json")))

    def sql(self, text: str, database: str, name: str = "") -> str:
        """As the database's owner, in its pod."""
        return self._psql(text, database, name).stdout.strip()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Nobody writes chunks meanwhile: who is about to waits at its work."""
        with interruptible(1) as pool:
            holding = pool.submit(self._psql, HOLD, "tandem", f"{seconds:.0f}", deadline_s=seconds + ANSWER_S)
            try:
                yield
            finally:
                self.sql(LET_GO, "tandem")
                holding.result()

    def _psql(self, text: str, database: str, name: str, deadline_s: float = 60.0) -> Result:
        words = [database if word == "argo" else word for word in PSQL]
        cut = range(256) if text == HOLD else (0,)  # which is ended from outside
        return self.runs.site.kube.run(
            *ARCHIVE, *words, "-v", f"name={name}", stdin=text, ok=cut, deadline_s=deadline_s
        )

    def forget(self) -> None:
        """Papers, texts, chunks."""
        for key in [*(paper.key for paper in PAPERS), *others()]:
            self.ask_store("DELETE", "arxiv-raw", key)
            self.ask_store("DELETE", "arxiv-text", f"{key}.txt")
        self.sql(FORGET, "tandem")

    def forget_run(self, name: str) -> None:
        """A workflow, its record, its report and what it left in the bucket."""
        items = self.runs.site.kube.get(KIND, namespace=NAMESPACE, name=name)
        nodes = [node for item in items for node in item["status"].get("nodes", {}).values()]
        kept = {one["s3"]["key"] for node in nodes for one in artifacts(node) if "s3" in one}
        with gateway.opened(self.runs.site, KEY) as store:
            for key in sorted(kept):
                store.delete(f"/{self.platform}-chi-uc-argo/{key}")
        self.ask_store("DELETE", "arxiv-text", f"reports/{name}.json")
        self.runs.site.kube.run("delete", KIND, name, "-n", NAMESPACE, "--ignore-not-found")
        self.sql(FORGET_RUN, "argo", name)


@dataclass(frozen=True)
class Ingested:
    """The corpus after two runs. first, second: what the command line said; after: the chunks after each."""

    corpus: Corpus
    first: Answer
    second: Answer
    after: tuple[Mapping[str, str], Mapping[str, str]]


@pytest.fixture(scope="module")
def ingested(cli: Cli, settings: Settings, both: tuple[Site, Site], cleaned: ExitStack) -> Ingested:
    """Both runs, as a person would start them."""
    corpus = Corpus(Runs(both[0], NAMESPACE), s3.KeyFile.of(settings, both[1].name).read(), settings.platform)
    cleaned.callback(corpus.forget)
    corpus.forget()
    corpus.put()
    answers, after = [], []
    for _ in range(2):
        answer = cli.must("pipelines.run", "ingest", "-p", RIGHTLY)
        cleaned.callback(corpus.forget_run, str(answer.data["name"]))
        answers.append(answer)
        after.append(corpus.counts())
    return Ingested(corpus, answers[0], answers[1], (after[0], after[1]))


@pytest.fixture(scope="module")
def cleaned() -> Iterator[ExitStack]:
    """What is registered here is removed in the end, also when something else cannot be."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.slow
def test_ten_papers_are_ingested_and_each_other_file_is_reported(
    ingested: Ingested, figure: Callable[[str], None]
) -> None:
    """By the report object; the same is the workflow's output."""
    told = ingested.corpus.report(ingested.first.data["name"])
    refused = {row["document"]: row["refused"] for row in told["rows"] if row["refused"]}
    figure(f"{ingested.first.data['seconds']} s: {ingested.first.data['outputs']['summary'].splitlines()[0]}")
    assert {row["document"] for row in told["rows"]} - set(refused) == {paper.key for paper in PAPERS}
    assert {key: reason.startswith(others()[key][1]) for key, reason in refused.items()} == dict.fromkeys(
        others(), True
    )
    assert all(f"{key}: {reason}" in ingested.first.data["outputs"]["summary"] for key, reason in refused.items())


@pytest.mark.slow
def test_running_again_leaves_the_same_rows(ingested: Ingested, figure: Callable[[str], None]) -> None:
    """As many, with the same texts, of the ten papers and of nothing else."""
    first, second = ingested.after
    figure(f"{len(first)} documents, {sum(int(said.split()[0]) for said in first.values())} chunks, twice")
    assert set(first) == {paper.key for paper in PAPERS}
    assert second == first


@pytest.mark.slow
@pytest.mark.breaks
def test_a_killed_pod_is_tried_again_and_doubles_nothing(
    ingested: Ingested, cleaned: ExitStack, cli: Cli, figure: Callable[[str], None]
) -> None:
    """The pod that writes the chunks is deleted while its statement waits for a lock that the drill holds."""
    runs, deadline_s = ingested.corpus.runs, cli.budget("drill.repair_deadline_s")
    with ingested.corpus.held(deadline_s):
        name = runs.create("ingest", {"prefix": PREFIX})
        cleaned.callback(ingested.corpus.forget_run, name)
        pod = wait_until(
            f"{name}: load is at its work",
            lambda: loading(runs, name) if ingested.corpus.sql(WAITING, "tandem") != "0" else "",
            lambda pod: pod not in {"", OVER},
            lambda pod: pod == OVER,
            deadline_s=deadline_s,
        )
        (killed,) = uids(runs, name)
        # Held until its process has ended: a pod that is only struck off would come to its end meanwhile.
        runs.site.kube.run("delete", "pod", pod, "-n", NAMESPACE, "--grace-period=1", deadline_s=deadline_s)
    done = pipelines.follow(runs, name, deadline_s)
    tries = [step.phase for step in done.steps if step.name.startswith("load")]
    figure(f"load: killed once, then {', '.join(tries)}")
    # By the pods: one that Argo had not yet seen running it makes again under the same name, in the same try.
    assert uids(runs, name) - {killed}
    assert tries[-1] == "Succeeded"
    assert ingested.corpus.counts() == ingested.after[0]


@pytest.mark.slow
def test_ten_questions_find_the_right_paper(
    ingested: Ingested, cleaned: ExitStack, cli: Cli, figure: Callable[[str], None]
) -> None:
    """Each question is in other words than its paper."""
    questions = json.dumps([paper.question for paper in PAPERS])
    answer = cli.must("pipelines.run", "ask", "-p", f"questions={questions}", "-p", RIGHTLY, "-p", "limit=2")
    cleaned.callback(ingested.corpus.forget_run, str(answer.data["name"]))
    found = {told["question"]: told["hits"] for told in json.loads(answer.data["outputs"]["answers"])}
    nearest = {paper.key: found[paper.question][0]["document"] for paper in PAPERS}
    right = sum(key == document for key, document in nearest.items())
    figure(f"{right} of {len(PAPERS)} right, {answer.data['seconds']} s")
    assert nearest == {paper.key: paper.key for paper in PAPERS}


def loading(runs: Runs, name: str) -> str:
    """The pod that writes chunks, while it runs; '' before, OVER afterwards. By the pod: a workflow tells it late."""
    for pod in loaders(runs, name):
        phase = pod["status"].get("phase", "")
        return str(pod["metadata"]["name"]) if phase == "Running" else OVER if phase in ENDED else ""
    return ""


def uids(runs: Runs, name: str) -> set[str]:
    """Of the pods that write, or have written, a run's chunks and are still there."""
    return {str(pod["metadata"]["uid"]) for pod in loaders(runs, name)}


def loaders(runs: Runs, name: str) -> list[Mapping[str, Any]]:
    """The pods themselves."""
    return [pod for pod in runs.pods(name).values() if "-load-" in pod["metadata"]["name"]]


def artifacts(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a node has written to the bucket."""
    return list((node.get("outputs") or {}).get("artifacts") or ())

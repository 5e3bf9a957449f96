"""Run inside a workbench pod at the CPU site: a job and a client of the RayCluster, through the link.

stdin: JSON {what, token, dashboard, client, entrypoint, deadline_s, s3: {access, secret, endpoint, bucket, prefix}}.
stdout: JSON, by `what`: see `transaction` and `written`. What a check asserts is there, nothing is judged here.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
REQUEST_S = 20.0


def main() -> None:
    """What was asked for."""
    given = json.load(sys.stdin)
    told = {"transaction": transaction, "written": written}[given["what"]](given)
    sys.stdout.write(f"{json.dumps(told)}\n")


def written(given: Mapping[str, Any]) -> dict[str, Any]:
    """{keys: of the checkpoints that are there now}."""
    return {"keys": listed(store(given["s3"]), given["s3"])}


def transaction(given: Mapping[str, Any]) -> dict[str, Any]:
    """{refused, dashboard, client, job, checkpoint}: everything once, one after the other."""
    url, token = given["dashboard"], given["token"]
    try:
        refused = {who: ask(url, "api/jobs/", bearer)[0] for who, bearer in (("nobody", ""), ("wrong", "x" * 32))}
        dashboard = {"page": ask(url, "", "")[0], **json.loads(ask(url, "api/version", token)[1])}
        client = timed(lambda: compute(given["client"], token))
        started = time.perf_counter()
        job_id = submit(url, token, given["entrypoint"])
        job = timed(lambda: wait(url, token, job_id, started + given["deadline_s"]))
        found = timed(lambda: checkpoint(given["s3"], job))
    finally:
        left = clean(given["s3"])
    job["ms"] = (time.perf_counter() - started) * 1000
    return {
        "refused": refused,
        "dashboard": dashboard,
        "client": client,
        "job": job,
        "checkpoint": {**found, "left": left},
    }


def timed(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work tells, and its milliseconds."""
    started = time.perf_counter()
    return {**work(), "ms": (time.perf_counter() - started) * 1000}


def ask(url: str, path: str, token: str, body: object = None) -> tuple[int, str]:
    """Status and text of one request."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = Request(f"{url}/{path}", None if body is None else json.dumps(body).encode(), headers)
    try:
        with urlopen(request, timeout=REQUEST_S) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def submit(url: str, token: str, entrypoint: str) -> str:
    """Hand a job in; returns its id."""
    code, text = ask(url, "api/jobs/", token, {"entrypoint": entrypoint})
    if code != 200:
        raise SystemExit(f"job refused: {code} {text[:500]}")
    return str(json.loads(text)["submission_id"])


def wait(url: str, token: str, job_id: str, until: float) -> dict[str, Any]:
    """Until the job has ended; {status, result: its last line, log: the end of what it said}."""
    status = "PENDING"
    while status not in ENDED and time.perf_counter() < until:
        time.sleep(0.3)
        status = json.loads(ask(url, f"api/jobs/{job_id}", token)[1])["status"]
    log = json.loads(ask(url, f"api/jobs/{job_id}/logs", token)[1])["logs"]
    lines = [line for line in log.splitlines() if line.startswith("{")]
    return {"status": status, "result": json.loads(lines[-1]) if lines else {}, "log": log[-2000:]}


def compute(address: str, token: str) -> dict[str, Any]:
    """Numbers put into the cluster's memory by a client and added up there; {sum, pod}."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    import ray

    def add(numbers: list[int]) -> dict[str, Any]:
        return {"sum": sum(numbers), "pod": os.environ["RAY_CLOUD_INSTANCE_ID"]}

    try:
        ray.init(address, log_to_driver=False)
    except ConnectionAbortedError:
        # Ray gives a client's server 30 s to start, which a busy node may not keep: once more.
        ray.init(address, log_to_driver=False)
    # No CPU asked for: a job may have taken them all.
    found: dict[str, Any] = ray.get(ray.remote(num_cpus=0)(add).remote(ray.put(list(range(1000)))))
    ray.shutdown()
    return found


def checkpoint(s3: Mapping[str, str], job: Mapping[str, Any]) -> dict[str, Any]:
    """The job's checkpoint as it lies in the object store; {bytes, sha256}."""
    key = job["result"].get("key", "nothing")
    text = store(s3).get_object(Bucket=s3["bucket"], Key=key)["Body"].read()
    return {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def clean(s3: Mapping[str, str]) -> int:
    """Take away what the job wrote; returns how many objects are still there."""
    client = store(s3)
    for key in listed(client, s3):
        client.delete_object(Bucket=s3["bucket"], Key=key)
    return len(listed(client, s3))


def listed(client: Any, s3: Mapping[str, str]) -> list[str]:
    """Keys under the prefix."""
    found = client.list_objects_v2(Bucket=s3["bucket"], Prefix=f"{s3['prefix']}/")
    return [str(row["Key"]) for row in found.get("Contents", ())]


def store(s3: Mapping[str, str]) -> Any:
    """The object store's client, with the key that Ray has."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        aws_access_key_id=s3["access"],
        aws_secret_access_key=s3["secret"],
        region_name="us-east-1",
        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}),
    )


if __name__ == "__main__":
    main()

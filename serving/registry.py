"""The model that a stage's alias names in MLflow, as a Source: `models:/embedder@canary`.

The alias names a version, the version's tag `tandem.digest` the manifest, the manifest every file: what does not match
is refused. With MLflow down, or a version that cannot be had, the last good one of the alias serves from the cache; a
process that has neither starts with the folder of its image, whose version the registry began with.
Why MLflow's REST API through httpx and not mlflow-skinny: see `tracking`.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from serving import config
from serving.config import Config
from serving.errors import ModelInvalid, SourceUnavailable, TrackingFailed
from serving.manifest import MANIFEST, sha256
from serving.source import EMBEDDER, SUMMARIZER, Folder, Found, Source, Sources
from serving.store import Store
from serving.tracking import Tracking

DIGEST = "tandem.digest"  # tag: SHA-256 of the version's manifest
VERSION = "tandem.version"  # tag: the version as the manifest has it, and as answers do

log = logging.getLogger("serving")


class Access(BaseModel):
    """How MLflow is reached, and where models are kept: MLflow's own variables, and ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mlflow_tracking_uri: str = ""  # empty: the folders of the image serve, and nothing is asked
    mlflow_tracking_username: str = ""
    mlflow_tracking_password: SecretStr = SecretStr("")
    mlflow_answer_s: float = Field(10.0, gt=0)  # of one answer, or of one piece of a file
    cache_dir: Path = Path("/cache")
    cache_keep: int = Field(3, ge=1)  # versions of a model, those beyond which an alias names


def from_env(environ: Mapping[str, str]) -> Access:
    """As the variables have it. Raises ConfigInvalid."""
    return config.read(Access, environ)


def tracking(access: Access) -> Tracking:
    """MLflow with the rights of this process."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for every look
    login = (access.mlflow_tracking_username, access.mlflow_tracking_password.get_secret_value())
    uri = access.mlflow_tracking_uri.rstrip("/")
    return Tracking(httpx.Client(base_url=uri, auth=login, timeout=access.mlflow_answer_s, trust_env=False))


def source(access: Access, model: str, stage: str, seed: Path) -> Source:
    """Where a stage's model comes from. seed: the model's folder in the image."""
    if not access.mlflow_tracking_uri:
        return Folder(seed)
    return Registered(tracking(access), Store(access.cache_dir, model, access.cache_keep), model, stage, seed)


def sources(access: Access, settings: Config) -> Sources:
    """Of every model that the settings of a process name."""

    def of(model: str, seed: Path) -> Source:
        return source(access, model, settings.stage, seed)

    there = settings.summarizer_dir
    return Sources(of(EMBEDDER, settings.model_dir), of(SUMMARIZER, there) if there is not None else None)


class Registered:
    """A Source over one alias of one model."""

    def __init__(self, mlflow: Tracking, store: Store, model: str, alias: str, seed: Path) -> None:
        self._mlflow, self._store = mlflow, store
        self._model, self._alias, self._seed = model, alias, seed
        self._digests: dict[str, str] = {}  # number -> digest, which never changes
        self._has_given = False

    def current(self) -> Found:
        """What the alias names now. When nobody can say, the last good one, once: after that SourceUnavailable.

        So a process starts without MLflow, and says at readyz, from the next look on, that it did.
        """
        try:
            found = self._asked()
        except (TrackingFailed, ModelInvalid, OSError, LookupError) as error:
            return self._kept(f"{self._name}: {error}")
        self._has_given = True
        return found

    @property
    def _name(self) -> str:
        return f"models:/{self._model}@{self._alias}"

    def _asked(self) -> Found:
        number = self._mlflow.aliases(self._model).get(self._alias)
        if number is None:
            raise TrackingFailed("no version has this alias")
        if number not in self._digests:
            self._digests[number] = self._mlflow.version(self._model, number).tags.get(DIGEST, "")
        digest = self._digests[number]
        folder = self._store.find(digest) or self._fetched(number, digest)
        self._store.remember(self._alias, digest)
        return _found(folder, digest)

    def _fetched(self, number: str, digest: str) -> Path:
        if _digest(self._seed) == digest:
            return self._store.fill(digest, lambda name, target: _copy(self._seed / name, target))
        version = self._mlflow.version(self._model, number)
        log.info("%s: version %s is fetched", self._name, number)
        return self._store.fill(digest, lambda name, target: self._mlflow.download(version.source, name, target))

    def _kept(self, why: str) -> Found:
        if self._has_given:
            raise SourceUnavailable(why)
        last = self._store.last(self._alias)
        folder = last or self._seed
        digest = _digest(folder)
        if not digest:
            raise SourceUnavailable(f"{why}; nothing is kept")
        self._has_given = True
        log.warning("%s; %s serves", why, "the last one from the cache" if last else "the image's own")
        return _found(folder, digest)


def _copy(file: Path, target: Path) -> None:
    shutil.copyfile(file, target)


def _digest(folder: Path) -> str:
    """Of a folder's manifest; '' where there is none."""
    place = folder / MANIFEST
    return sha256(place) if place.is_file() else ""


def _found(folder: Path, digest: str) -> Found:
    try:
        return Found(folder, str(json.loads((folder / MANIFEST).read_bytes())["version"]), digest)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SourceUnavailable(f"{folder.name}/{MANIFEST} names no version") from error

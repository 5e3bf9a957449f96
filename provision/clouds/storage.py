"""Volumes (Cinder) and containers (Swift), by openstacksdk, as far as the site has them."""

from __future__ import annotations

from dataclasses import dataclass

from provision.clouds.facts import Container, Volume
from provision.clouds.ownership import KEY, Owner
from provision.clouds.session import Session, refusal

MARK = "X-Container-Meta-Tandem"
SEGMENTS = "+segments"
"""What S3 uploads in parts leave beside a container."""

PAGE = 1000
"""Objects a request. The SDK turns the page only where a number was asked for, and else stops at the store's own."""

WRITER = "writer"
"""The container of who writes now: it comes and goes with a run, so it is neither data nor a leftover."""


@dataclass(frozen=True)
class SiteStore:
    """has_volumes, has_containers: what the site's catalogue holds."""

    session: Session
    owner: Owner
    has_volumes: bool
    has_containers: bool

    def list_volumes(self) -> tuple[Volume, ...]:
        """Ours."""
        if not self.has_volumes:
            return ()
        with self.session.asking("list volumes") as cloud:
            found = list(cloud.block_storage.volumes(details=True))
        owns = self.owner.owns_metadata
        ours = (volume for volume in found if owns("volume", volume.name or "", volume.metadata or {}))
        return tuple(
            Volume(
                volume.name,
                volume.size,
                volume.status,
                next((attachment["server_id"] for attachment in volume.attachments or ()), ""),
                volume.id,
            )
            for volume in ours
        )

    def create_volume(self, name: str, gib: int) -> None:
        """Ask for a volume; it is `available` some time later."""
        with self.session.asking(f"create volume {name}") as cloud:
            cloud.block_storage.create_volume(name=name, size=gib, metadata=self.owner.metadata)

    def delete_volume(self, name: str) -> None:
        """Silent if it is gone."""
        for volume in self.list_volumes():
            if volume.name == name:
                with self.session.asking(f"delete volume {name}") as cloud:
                    cloud.block_storage.delete_volume(volume.id, ignore_missing=True)

    def list_containers(self) -> tuple[Container, ...]:
        """Ours."""
        if not self.has_containers:
            return ()
        with self.session.asking("list containers") as cloud:
            every = list(cloud.object_store.containers(prefix=self.owner.prefix))
            passing = (SEGMENTS, f"{self.owner.prefix}{WRITER}")
            found = [item for item in every if not item.name.endswith(passing)]
            marks = {item.name: cloud.object_store.head(f"/{item.name}").headers.get(MARK, "") for item in found}
        return tuple(
            Container(item.name, item.count, item.bytes / 2**20)
            for item in found
            if self.owner.owns_metadata("container", item.name, {KEY: marks[item.name]})
        )

    def create_container(self, name: str) -> None:
        """An empty container, marked at birth."""
        with self.session.asking(f"create container {name}") as cloud:
            # Not the SDK's create_container: its metadata is one dictionary shared by all containers of a process.
            cloud.object_store.put(f"/{name}", headers={MARK: self.owner.platform}, raise_exc=True)

    def delete_container(self, name: str) -> None:
        """With everything in it, and the parts of large uploads."""
        with self.session.asking(f"delete container {name}") as cloud:
            there = {item.name for item in cloud.object_store.containers(prefix=name)}
            for container in (name + SEGMENTS, name):
                if container in there:
                    for item in cloud.object_store.objects(container, limit=PAGE):
                        cloud.object_store.delete_object(item, ignore_missing=True)
                    cloud.object_store.delete_container(container, ignore_missing=True)

    def delete_if_empty(self, name: str) -> None:
        """A container in which nothing is; silent if it is gone or if something is in it."""
        with self.session.asking(f"delete container {name}") as cloud:
            cloud.object_store.delete(f"/{name}", raise_exc=False)

    def write_object(self, container: str, name: str, text: str, *, lasts_s: int = 0) -> None:
        """Write one whole object. lasts_s: it vanishes by itself after so long; 0: never."""
        headers = {"X-Delete-After": str(lasts_s)} if lasts_s else {}
        with self.session.asking(f"write object {container}/{name}") as cloud:
            cloud.object_store.put(f"/{container}/{name}", data=text.encode(), headers=headers, raise_exc=True)

    def read_object(self, container: str, name: str) -> str | None:
        """An object as text; None when it is not there (any more)."""
        with self.session.asking(f"read object {container}/{name}") as cloud:
            answer = cloud.object_store.get(f"/{container}/{name}", raise_exc=False)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            site, env = self.session.site, self.session.env
            raise refusal(f"{site}: read object {container}/{name}", answer.status_code, answer.text, env=env)
        return str(answer.text)

    def list_objects(self, container: str) -> tuple[str, ...]:
        """Names; () when the container is not there."""
        with self.session.asking(f"list objects of {container}") as cloud:
            there = any(item.name == container for item in cloud.object_store.containers(prefix=container))
            return tuple(item.name for item in cloud.object_store.objects(container, limit=PAGE)) if there else ()

    def delete_object(self, container: str, name: str) -> None:
        """Silent if it is gone."""
        with self.session.asking(f"delete object {container}/{name}") as cloud:
            cloud.object_store.delete_object(name, container=container, ignore_missing=True)

"""Servers and key pairs, by openstacksdk. Servers are ours by metadata; key pairs have none: by name."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from provision.clouds.facts import KeyPair, Server, ServerRequest
from provision.clouds.ownership import Owner
from provision.clouds.session import Session
from provision.errors import PreconditionMissing


@dataclass(frozen=True)
class NovaServers:
    """Nova at one site."""

    session: Session
    owner: Owner

    def list_servers(self) -> tuple[Server, ...]:
        """Ours."""
        with self.session.asking("list servers") as cloud:
            found = list(cloud.compute.servers(details=True))
        ours = (server for server in found if self.owner.owns_metadata("server", server.name, server.metadata or {}))
        return tuple(_parse(server) for server in ours)

    def create_server(self, request: ServerRequest) -> None:
        """Ask for a server; it is ACTIVE some time later, or in ERROR."""
        with self.session.asking(f"create server {request.name}") as cloud:
            port = next(iter(cloud.network.ports(name=request.port)), None)
            if port is None:
                raise PreconditionMissing(
                    f"{self.owner.site}: no port {request.port}",
                    next=f"invoke provision.network --site {self.owner.site}",
                )
            hints = {"scheduler_hints": dict(request.hints)} if request.hints else {}
            cloud.compute.create_server(
                name=request.name,
                image_id=request.image,
                flavor_id=request.flavor,
                networks=[{"port": port.id}],
                key_name=request.key,
                user_data=b64encode(request.user_data.encode()).decode(),
                metadata=self.owner.metadata,
                **hints,
            )

    def start_server(self, name: str) -> None:
        """Start a server that was stopped."""
        with self.session.asking(f"start server {name}") as cloud:
            cloud.compute.start_server(next(s.id for s in self.list_servers() if s.name == name))

    def delete_server(self, server_id: str) -> None:
        """Ask for a server's end; silent if it is gone."""
        with self.session.asking(f"delete server {server_id}") as cloud:
            cloud.compute.delete_server(server_id, ignore_missing=True)

    def find_key(self, name: str) -> KeyPair | None:
        """The key pair of a name."""
        with self.session.asking(f"find key {name}") as cloud:
            found = cloud.compute.find_keypair(name, ignore_missing=True)
        return None if found is None else KeyPair(found.name, without_comment(found.public_key))

    def create_key(self, key: KeyPair) -> None:
        """Hand our public key to nova."""
        with self.session.asking(f"create key {key.name}") as cloud:
            cloud.compute.create_keypair(name=key.name, public_key=key.public_key)

    def delete_key(self, name: str) -> None:
        """Silent if it is gone."""
        with self.session.asking(f"delete key {name}") as cloud:
            cloud.compute.delete_keypair(name, ignore_missing=True)

    def attach_volume(self, server_id: str, volume_id: str) -> None:
        """Ask for a volume to appear as a disk of the server."""
        with self.session.asking(f"attach volume {volume_id}") as cloud:
            cloud.compute.create_volume_attachment(server_id, volume_id=volume_id)


def _parse(server: Any) -> Server:
    fault = (getattr(server, "fault", None) or {}).get("message", "") if server.status == "ERROR" else ""
    # A server on its way out is still listed as what it was.
    going = (server.task_state or "") == "deleting"
    image = getattr(server.image, "id", None) or ""  # none where a server starts from a volume
    return Server(server.name, "DELETING" if going else server.status, fault, server.id, image)


def without_comment(public_key: str) -> str:
    """`type base64` of an ssh public key. Pure."""
    return " ".join(public_key.split()[:2])

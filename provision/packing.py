"""Pods onto nodes. Pure.

Pods go where they must (the volume's node, every node), then the largest first to the node with the most memory left,
as the scheduler spreads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from provision.pods import Pod


@dataclass(frozen=True, slots=True)
class Room:
    """CPU and memory; negative where they lack."""

    cpu_millicores: int
    memory_mib: int

    def less(self, other: Room | Pod) -> Room:
        """What is left beside something."""
        return Room(self.cpu_millicores - other.cpu_millicores, self.memory_mib - other.memory_mib)

    @property
    def is_enough(self) -> bool:
        """Whether nothing lacks."""
        return self.cpu_millicores >= 0 and self.memory_mib >= 0

    def lack(self) -> str:
        """`300m CPU and 812 MiB`: the amounts that it would take."""
        cpu = [f"{-self.cpu_millicores}m CPU"] if self.cpu_millicores < 0 else []
        return " and ".join([*cpu, *([f"{-self.memory_mib} MiB"] if self.memory_mib < 0 else [])])


@dataclass(frozen=True, slots=True)
class Node:
    """A node and what was put there. reserve: taken before any pod. has_volume: whether the block volume is its."""

    name: str
    size: str
    room: Room
    reserve: Room
    has_volume: bool = False
    pods: tuple[Pod, ...] = ()

    @property
    def free(self) -> Room:
        """What is left; negative where pods that can go nowhere else are too many."""
        left = self.room.less(self.reserve)
        for pod in self.pods:
            left = left.less(pod)
        return left


def place(nodes: Sequence[Node], wanted: Sequence[Pod]) -> tuple[tuple[Node, ...], tuple[Pod, ...]]:
    """Put every replica somewhere; returns the nodes and what found no room. Bound pods may overfill their node."""
    placed = {node.name: node for node in nodes}
    homeless: list[Pod] = []

    def put(pod: Pod, home: Node) -> None:
        placed[home.name] = replace(placed[home.name], pods=(*placed[home.name].pods, pod))

    for pod in (pod for pod in wanted if pod.on):
        homes = [node for node in nodes if pod.on == "every" or node.has_volume]
        for home in homes * (1 if pod.on == "every" else pod.replicas):
            put(pod, home)
        homeless += [] if homes else [pod]
    movable = [pod for pod in wanted if not pod.on for _ in range(pod.replicas)]
    for pod in sorted(movable, key=lambda pod: (-pod.memory_mib, -pod.cpu_millicores, pod.application, pod.name)):
        roomy = [node for node in placed.values() if node.free.less(pod).is_enough]
        if roomy:
            put(pod, max(roomy, key=lambda node: (node.free.memory_mib, node.free.cpu_millicores)))
        else:
            homeless.append(pod)
    return tuple(placed.values()), tuple(homeless)

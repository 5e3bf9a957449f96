"""The packing of a plan, for a person and as data."""

from __future__ import annotations

from collections.abc import Sequence

from provision import capacity, pricing
from provision.capacity import Capacity, Purse
from provision.packing import Node, Room
from provision.pods import Pod
from provision.settings import Settings

Json = dict[str, object]
HEAD = ("node", "application", "cpu", "memory")


def text(settings: Settings, found: Sequence[Capacity]) -> str:
    """A row a pod, what is free on each node; then shares, GPU memory, volume, and what larger flavors cost."""
    rows = [HEAD, *(row for one in found for node in one.nodes for row in _rows(node))]
    lines = [f"{node:<7}{what:<40}{cpu:>8}{memory:>12}" for node, what, cpu, memory in rows]
    for one in found:
        lines += [f"{one.site}: {_purse(purse)}" for purse in one.purses]
        lines += [f"{one.site}: {offer}" for offer in _offers(settings, one)]
    return "\n".join(lines)


def as_json(settings: Settings, found: Sequence[Capacity]) -> list[Json]:
    """The plan's `capacity`, a row a site."""
    return [
        {
            "site": one.site,
            "nodes": [_node(node) for node in one.nodes],
            "homeless": [f"{pod.application}/{pod.name}" for pod in one.homeless],
            "shared": [{"what": p.what, "have": p.have, "left": p.left, "asked": dict(p.asked)} for p in one.purses],
            "offers": [
                {"flavor": offer.flavor, "fits": offer.fits, **offer.price.as_json()}
                for offer in capacity.offers(settings, one)
            ],
        }
        for one in found
    ]


def _rows(node: Node) -> list[tuple[str, str, str, str]]:
    pods = [(_named(pod), Room(pod.cpu_millicores, pod.memory_mib)) for pod in node.pods]
    rows = [(node.size, node.room), ("reserve", node.reserve), *pods, ("free", node.free)]
    return [(node.name, what, f"{room.cpu_millicores}m", f"{room.memory_mib} MiB") for what, room in rows]


def _named(pod: Pod) -> str:
    return pod.name if pod.name == pod.application else f"{pod.application}/{pod.name}"


def _purse(purse: Purse) -> str:
    return f"{purse.what}: {purse.have - purse.left} of {purse.have}{purse.unit} asked, {purse.left} free"


def _offers(settings: Settings, one: Capacity) -> list[str]:
    now = pricing.price(settings).per_hour_su
    flavor = settings.sites[one.site].lease.flavor
    return [
        f"{offer.flavor} instead of {flavor}: {offer.price.per_hour_su:g} SU/h instead of {now:g}"
        for offer in capacity.offers(settings, one)
    ]


def _node(node: Node) -> Json:
    pods = [
        {
            "application": pod.application,
            "pod": pod.name,
            "cpu_millicores": pod.cpu_millicores,
            "memory_mib": pod.memory_mib,
        }
        for pod in node.pods
    ]
    return {
        "name": node.name,
        "size": node.size,
        **_room(node.room),
        "reserve": _room(node.reserve),
        "free": _room(node.free),
        "pods": pods,
    }


def _room(room: Room) -> Json:
    return {"cpu_millicores": room.cpu_millicores, "memory_mib": room.memory_mib}

"""Whether a site's applications fit on its nodes at full size, and by how much they do not. Pure; asks nobody.

Counted: CPU and memory of each node less the settings' `reserve`, shares and memory of the card, GiB of the volume.
The rehearsal shrinks pods, not this plan: it is of the sizes that the testbed has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provision import pods, pricing, releases, values
from provision.errors import DoesNotFit, SettingsError
from provision.packing import Node, Room, place
from provision.pods import Pod
from provision.pricing import Price
from provision.settings import Settings, SiteSettings

MIB = 1024  # in a GiB


@dataclass(frozen=True, slots=True)
class Purse:
    """Something of which a site has a fixed amount. asked: who asks for how much of it."""

    what: str
    unit: str
    have: int
    asked: tuple[tuple[str, int], ...]

    @property
    def left(self) -> int:
        """What nobody asks for; negative when more is asked than there is."""
        return self.have - sum(amount for _, amount in self.asked)


@dataclass(frozen=True, slots=True)
class Capacity:
    """A site's nodes with their pods. homeless: replicas for which there was no room."""

    site: str
    wanted: tuple[Pod, ...]
    nodes: tuple[Node, ...]
    homeless: tuple[Pod, ...]
    purses: tuple[Purse, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A larger flavor for a site, what the platform costs with it, and whether everything has a place then."""

    flavor: str
    price: Price
    fits: bool


def of_site(settings: Settings, site_name: str) -> Capacity:
    """A site's applications, packed."""
    claims = {release.name: release.requests.disk_gib for release in releases.at(site_name, settings)}
    return of(settings, site_name, demand(settings, site_name), claims)


def of(settings: Settings, site_name: str, wanted: Sequence[Pod], claims: Mapping[str, int]) -> Capacity:
    """Pods and claims (GiB by application), packed at a site."""
    site = settings.sites[site_name]
    nodes, homeless = place(rooms(settings, site), wanted)
    return Capacity(site_name, tuple(wanted), nodes, homeless, _purses(settings, site, wanted, claims))


def demand(settings: Settings, site_name: str) -> tuple[Pod, ...]:
    """Every kind of pod of a site's applications, at full size. Raises SettingsError."""
    full = settings.model_copy(update={"cpu_scale": 1.0, "memory_scale": 1.0})
    found: list[Pod] = []
    for release in releases.at(site_name, settings):
        try:
            found += pods.of(release.name, release.pods, values.of(release, full))
        except LookupError as error:
            raise SettingsError(f"apps/{release.name}/chart.toml -> pods -> expected a path: {error}") from error
    return tuple(found)


def rooms(settings: Settings, site: SiteSettings) -> tuple[Node, ...]:
    """The nodes of a site before any pod. Raises SettingsError."""
    keep, control = settings.reserve, site.in_group("kube_control_plane")
    found = []
    for node in site.nodes:
        name, planes = site.size(node), int(node in control)
        if name not in settings.flavors:
            raise SettingsError(
                f"{settings.env}.toml -> flavors -> expected the size of {name!r}, which {node.name} is"
            )
        size = settings.flavors[name]
        reserve = Room(
            keep.cpu_millicores + planes * keep.control_plane_cpu_millicores,
            keep.memory_mib + planes * keep.control_plane_memory_mib,
        )
        has_volume = site.volume is not None and site.volume.node == node.name
        found.append(Node(node.name, name, Room(size.vcpus * 1000, size.memory_mib), reserve, has_volume))
    return tuple(found)


def offers(settings: Settings, capacity: Capacity) -> tuple[Offer, ...]:
    """The flavors larger than a site's own and of its kind, smallest first; none where hosts are leased whole."""
    site = settings.sites[capacity.site]
    if site.lease.kind != "flavor:instance":
        return ()
    kind = site.lease.flavor.partition(".")[0]  # a server with a GPU is no larger one without
    alike = [name for name in pricing.FLAVORS if name in settings.flavors and name.partition(".")[0] == kind]
    sizes = {name: settings.flavors[name].memory_mib for name in alike}
    larger = [name for name in sorted(sizes, key=lambda name: sizes[name]) if sizes[name] > sizes[site.lease.flavor]]
    return tuple(_offer(settings, capacity, name) for name in larger)


def refusals(settings: Settings, capacity: Capacity) -> tuple[DoesNotFit, ...]:
    """Everything for which a site's plan cannot run: what and by how much, why, what to type."""
    cramped = [*_cramped(capacity)]
    larger = _larger(settings, capacity) if cramped else ""
    less = f"ask for less under apps/ or serving/, then: invoke provision.plan --env {settings.env}"
    return (
        *(DoesNotFit(f"{capacity.site}: {what}", why=why, next=larger or less) for what, why in cramped),
        *(DoesNotFit(f"{capacity.site}: {what}", why=why, next=less) for what, why in _overspent(capacity)),
    )


def check(settings: Settings, site_names: Sequence[str]) -> None:
    """Raises DoesNotFit for the first thing that does not, before anything is spent on the rest."""
    for name in site_names:
        for refusal in refusals(settings, of_site(settings, name)):
            raise refusal


def _offer(settings: Settings, capacity: Capacity, flavor: str) -> Offer:
    site = settings.sites[capacity.site]
    nodes = tuple(node.model_copy(update={"flavor": flavor}) for node in site.nodes)
    grown = site.model_copy(update={"nodes": nodes, "lease": site.lease.model_copy(update={"flavor": flavor})})
    there, homeless = place(rooms(settings, grown), capacity.wanted)
    price = pricing.price(settings.model_copy(update={"sites": {**settings.sites, capacity.site: grown}}))
    return Offer(flavor, price, not homeless and all(node.free.is_enough for node in there))


def _larger(settings: Settings, capacity: Capacity) -> str:
    """How to take the smallest flavor that is large enough, with its price; '' when none is."""
    flavor = settings.sites[capacity.site].lease.flavor
    for offer in offers(settings, capacity):
        if offer.fits:
            swap = f's/flavor = "{flavor}"/flavor = "{offer.flavor}"/g'
            file = f"provision/environments/{settings.env}.toml"
            return f"sed -i '{swap}' {file}   # {offer.price.text()}, now {pricing.price(settings).text()}"
    return ""


def _purses(
    settings: Settings, site: SiteSettings, wanted: Sequence[Pod], claims: Mapping[str, int]
) -> tuple[Purse, ...]:
    gpu, on_card = site.gpu, [pod for pod in wanted if pod.gpu_shares]
    context = settings.reserve.gpu_context_mib
    shares = tuple((pod.name, pod.gpu_shares * pod.replicas) for pod in on_card)
    memory = tuple((pod.name, (pod.gpu_memory_mib + context) * pod.replicas) for pod in on_card)
    disk = tuple((name, gib) for name, gib in claims.items() if gib)
    found = (
        Purse("GPU shares", "", gpu.shares * gpu.count if gpu else 0, shares),
        Purse("GPU memory", " MiB", gpu.vram_gib * MIB * gpu.count if gpu else 0, memory),
        Purse("volume", " GiB", site.volume.gib if site.volume else 0, disk),
    )
    return tuple(purse for purse in found if purse.have or purse.asked)


def _cramped(capacity: Capacity) -> list[tuple[str, str]]:
    """(what, why) of nodes whose bound pods are too many, and of pods that no node has room for."""
    found = [
        (f"{node.name} ({node.size}) lacks {node.free.lack()} for what can run nowhere else", _bill(node))
        for node in capacity.nodes
        if not node.free.is_enough
    ]
    for pod in capacity.homeless:
        what = f"no node has room for {pod.application}/{pod.name} ({pod.cpu_millicores}m CPU, {pod.memory_mib} MiB)"
        best = max(capacity.nodes, key=lambda node: node.free.memory_mib)
        lack = f"{best.name} has the most left and lacks {best.free.less(pod).lack()}"
        found.append((what, "no node has a volume" if pod.on else lack))
    return found


def _overspent(capacity: Capacity) -> list[tuple[str, str]]:
    """(what, why) of shares, GPU memory and disk."""
    found = [
        (
            f"{pod.application}/{pod.name} asks for {pod.gpu_shares} GPU shares a pod",
            "a pod is given one: more shares are not more of the card, and the device plugin refuses them",
        )
        for pod in capacity.wanted
        if pod.gpu_shares > 1
    ]
    for purse in capacity.purses:
        if purse.left < 0:
            listed = ", ".join(f"{who} {amount}" for who, amount in purse.asked)
            found.append(
                (
                    f"{-purse.left}{purse.unit} more {purse.what} asked than there is",
                    f"{purse.have}{purse.unit} there; asked: {listed}",
                )
            )
    return found


def _bill(node: Node) -> str:
    """What a node has, and who takes it."""
    rows = [f"reserve {node.reserve.cpu_millicores}m {node.reserve.memory_mib} MiB"]
    rows += [f"{pod.name} {pod.cpu_millicores}m {pod.memory_mib} MiB" for pod in node.pods]
    return f"{node.room.cpu_millicores}m {node.room.memory_mib} MiB there; taken: {', '.join(rows)}"

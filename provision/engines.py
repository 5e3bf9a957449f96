"""Which engine makes the clusters: the settings' one, or the fallback where that cannot be had. Offline."""

from __future__ import annotations

from dataclasses import dataclass

from provision import checkout, embedded
from provision.errors import PreconditionMissing
from provision.settings import Settings

KUBEADM, KUBESPRAY = "kubeadm", "kubespray"


@dataclass(frozen=True, slots=True)
class Choice:
    """engine: who installs. why: the reason for the fallback, '' where the wanted engine is used."""

    engine: str
    why: str = ""

    def text(self) -> str:
        """For a plan: `kubeadm (not kubespray: ...)`."""
        return f"{self.engine} (not {KUBESPRAY}: {self.why})" if self.why else self.engine


def choose(settings: Settings) -> Choice:
    """The engine for a new cluster. A cluster that stands keeps the one that made it."""
    wanted, fallback = settings.kubernetes.engine, settings.kubernetes.fallback
    if wanted != KUBESPRAY or not fallback:
        return Choice(wanted)
    reasons = [reason for reason in (checkout.missing(), _files(settings)) if reason]
    return Choice(fallback, "; ".join(reasons)) if reasons else Choice(wanted)


def known(settings: Settings) -> tuple[str, ...]:
    """All engines that may have made a cluster of this environment."""
    kubernetes = settings.kubernetes
    return tuple(dict.fromkeys(name for name in (kubernetes.engine, kubernetes.fallback) if name))


def refusals(settings: Settings) -> tuple[PreconditionMissing, ...]:
    """Said before anything is paid for: the only engine that the environment allows has no checkout."""
    if choose(settings).engine != KUBESPRAY or not (reason := checkout.missing()):
        return ()
    return (
        PreconditionMissing(
            f"no checkout of Kubespray {checkout.lock().version}",
            why=f"{reason}, and {settings.env} has no other engine",
            next=f"{checkout.INIT}   # or {checkout.SOURCE}=<path or url>",
        ),
    )


def _files(settings: Settings) -> str:
    """Which release files an embedded environment lacks, and where the first may be put."""
    missing = embedded.missing_releases(settings)
    return (
        f"no release of {', '.join(missing)} (to be fetched, or put by hand: {next(iter(missing.values()))})"
        if missing
        else ""
    )

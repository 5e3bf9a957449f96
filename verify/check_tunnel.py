"""The link, forwarded port by forwarded port: a pod where it listens talks to what lies across.

A target whose address no Service owns yet gets a listener of ours for the time of the check, which must answer with our
own words. A real Service must answer with bytes of its own; one without a running pod behind it must at least be
reached, that is, accept and close. Ports are checked by the site their target lies at: that site's releases come later
in its own walk, so an address lent to our listener is free again by then.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from provision import link, link_ends
from provision.appsecrets import LINK_NAMESPACE
from provision.settings import Forward, Settings, load
from provision.site import Site
from provision.wait import never, wait_until
from verify import lent

WORD = "across"
# One harmless opening per protocol: any byte in answer comes from the service itself.
POSTGRESQL_OPENING = r"\000\000\000\010\004\322\026\057"
HTTP_OPENING = r"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
# What the key is tried for -> what sshd says of it, after letting the key in.
REFUSED = {
    "{alias} true": "open failed",
    "-N -R {server}:19999:127.0.0.1:22 -o ExitOnForwardFailure=yes {alias}": "remote port forwarding failed",
    "-W {server}:22 {alias}": "administratively prohibited",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check a forward; with `--site`, those whose target lies there."""
    if "forward" not in metafunc.fixturenames:
        return
    settings, asked = load(metafunc.config.getoption("env")), metafunc.config.getoption("site")
    rows = [row for row in settings.link.forwards if asked in {"", settings.peer_of(row.listens)}]
    metafunc.parametrize("forward", rows, ids=[f"{row.service}-from-{row.listens}" for row in rows], scope="module")


@dataclass(frozen=True)
class Talk:
    """Where one direction's checks happen. lent: services whose target is a listener of ours."""

    caller: Site
    namespace: str
    lent: tuple[str, ...]
    idle: tuple[str, ...]

    def ask(self, forward: Forward, opening: str, deadline_s: float) -> tuple[int, str]:
        """Exit code and answer of one exchange from a pod, by the name that applications use."""
        host = f"{forward.service}.{LINK_NAMESPACE}.svc"
        talk = f"timeout {deadline_s:.0f} nc -w 5 {host} {forward.target_port}"
        words = shlex.quote(opening.format(host=host))
        script = f"set -o pipefail; printf {words} | {talk} | head -c 200"
        if opening == HTTP_OPENING:  # held open: a server may take the end of what we say for the end of the exchange
            script = f"set -o pipefail; mkfifo $$; exec 3<>$$; printf {words} >&3; {talk} <&3 | head -c 200"
        answer = self.caller.kube.run(
            "exec", "-n", self.namespace, "caller", "--", "sh", "-c", script, ok=range(256), deadline_s=deadline_s + 15
        )
        return answer.code, answer.stdout


@pytest.fixture(scope="module")
def talks(both: tuple[Site, Site], request: pytest.FixtureRequest, budget: Callable[[str], float]) -> Iterator[Any]:
    """target site -> Talk; everything made is removed, whatever happens."""
    asked = request.config.getoption("site")
    made: dict[str, Talk] = {}
    targets = [site for site in both if asked in {"", site.name}]
    try:
        for target in targets:
            made[target.name] = _prepare(target, _peer(target, both), budget("link.pod_deadline_s"))
        yield made
    finally:
        _clear([(_namespace(target), site) for target in targets for site in both])


def test_pods_reach_what_lies_across(
    forward: Forward,
    talks: Mapping[str, Talk],
    settings: Settings,
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """The answer comes from the target itself; the link may still be coming up when this is the first to ask."""
    talk = talks[settings.peer_of(forward.listens)]
    opening = POSTGRESQL_OPENING if forward.target_port == 5432 else HTTP_OPENING
    if forward.service in talk.lent:
        opening = f"{WORD}\\n"
    answer = wait_until(
        f"{forward.service} from {forward.listens}",
        lambda: talk.ask(forward, opening, budget("link.answer_deadline_s")),
        lambda state: is_answer(state, forward.service, talk),
        never,
        deadline_s=budget("link.up_deadline_s"),
    )
    figure(told(forward.service, talk))
    assert is_answer(answer, forward.service, talk)


def test_listeners_bind_to_the_fixed_addresses_only(both: tuple[Site, Site], settings: Settings) -> None:
    """Every port of the table listens, at the link node's fixed address and at no other."""
    wanted = {site.name: set(link.sockets(settings, site.name)) for site in both}
    ports = {site.name: {socket.rsplit(":", 1)[1] for socket in wanted[site.name]} for site in both}
    listening = {
        site.name: {socket for socket in link_ends.probe(site).listens if socket.rsplit(":", 1)[1] in ports[site.name]}
        for site in both
    }
    assert listening == wanted


@pytest.mark.parametrize("words", REFUSED, ids=["command", "another-port", "another-target"])
def test_the_key_opens_nothing_else(words: str, both: tuple[Site, Site], settings: Settings) -> None:
    """No command, no listener beside the table, no way to another address: refused by sshd, not by an accident."""
    server, client = both
    place = words.format(alias=link.ALIAS, server=link.listening_address(settings, server.name)).split()
    options = [word for pair in key_options(server) for word in ("-o", pair)]
    command = ["runuser", "-u", link.USER, "--", "timeout", "15", "ssh", "-F", "/dev/null", *options, *place]
    answer = client.hosts.run(client.own.entry.name, command, ok=range(256))
    assert answer.code not in {0, 124}, f"{words} was let through"
    assert REFUSED[words] in answer.stderr


def key_options(server: Site) -> list[str]:
    """ssh options with the link's key and pinned host key, but none of its forwards."""
    return [
        f"HostName={server.cloud.floating_address()}",
        f"HostKeyAlias={link.ALIAS}",
        f"User={link.USER}",
        f"IdentityFile={link.CLIENT_KEY}",
        f"UserKnownHostsFile={link.CLIENT_KNOWN}",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "ConnectTimeout=8",
    ]


def is_answer(state: tuple[int, str], service: str, talk: Talk) -> bool:
    """Our own words from our listener; bytes from a running service; an orderly close where no pod stands behind it."""
    code, text = state
    if service in talk.lent:
        return text.strip() == f"{service} {WORD}"
    return code == 0 if service in talk.idle else bool(text)


def told(service: str, talk: Talk) -> str:
    """What kind of answer it was."""
    if service in talk.lent:
        return "test listener answered"
    return "reached; no pod stands behind it" if service in talk.idle else "the service itself answered"


def _prepare(target: Site, caller: Site, deadline_s: float) -> Talk:
    """A pod that asks, and listeners of ours at the addresses that no Service has."""
    namespace = _namespace(target)
    rows = link.listeners(target.settings, caller.name)
    owners = {item["spec"].get("clusterIP"): _path(item) for item in target.kube.get("services")}
    running = {_service_of(item) for item in target.kube.get("endpointslices.discovery.k8s.io") if _runs(item)}
    free = [row for row in rows if str(row.target_ip) not in owners]
    idle = [row.service for row in rows if row not in free and owners[str(row.target_ip)] not in running]
    caller.kube.apply([lent.namespace(namespace), lent.pod("caller", namespace, "sleep 3600")])
    if free:
        listener = lent.pod("listener", namespace, lent.listen(free))
        target.kube.apply([lent.namespace(namespace), listener, *lent.services(free, namespace)])
        _await_pod(target, "listener", namespace, deadline_s)
    _await_pod(caller, "caller", namespace, deadline_s)
    return Talk(caller, namespace, tuple(row.service for row in free), tuple(idle))


def _await_pod(site: Site, name: str, namespace: str, deadline_s: float) -> None:
    site.kube.run(
        "wait",
        "pod",
        name,
        "-n",
        namespace,
        "--for=condition=Ready",
        f"--timeout={deadline_s:.0f}s",
        deadline_s=deadline_s + 10,
    )


def _path(item: Any) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _service_of(item: Any) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata'].get('labels', {}).get('kubernetes.io/service-name')}"


def _runs(item: Any) -> bool:
    return any(end.get("conditions", {}).get("ready") for end in item.get("endpoints") or ())


def _clear(made: list[tuple[str, Site]]) -> None:
    """Ask for all of it to go, then wait: a namespace takes its time."""
    for namespace, site in made:
        site.kube.run("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
    for namespace, site in made:
        site.kube.run("wait", f"namespace/{namespace}", "--for=delete", "--timeout=60s", deadline_s=70.0)


def _namespace(target: Site) -> str:
    """One a direction: both sites' walks may check at the same time."""
    return f"tandem-verify-to-{target.name}"


def _peer(site: Site, both: tuple[Site, Site]) -> Site:
    return both[1] if site is both[0] else both[0]

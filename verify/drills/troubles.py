"""What the testbed does to a platform, and what tandem must do then: one row a fault of `invoke rehearsal.fault`."""

from __future__ import annotations

from dataclasses import dataclass

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """A command while the fault is on. codes: one of them must be its exit code. says: a pattern in what it says."""

    words: Words
    codes: tuple[int, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """before: what must stand. asks: one after the other. after: when it is over, exit code 0; (): nothing can help.

    did: what tandem is to do, for the table. ends: wait until the site's leases of servers are over. bare: the site's
    volumes are not there meanwhile.
    """

    fault: str
    site: str
    did: str
    asks: tuple[Ask, ...]
    before: tuple[Words, ...] = ()
    after: Words = ()
    ends: bool = False
    bare: bool = False


KVM, UC = "kvm-tacc", "chi-uc"
LEASE: Words = ("provision.lease", "--no-check")
NETWORK: Words = ("provision.network", "--no-check")
STORAGE: Words = ("provision.storage", "--no-check")
NODES: Words = ("provision.nodes", "--no-check")
EXTEND: Words = ("lease.extend",)
TO_NETWORK: Words = ("provision.all", "--to", "network")
TO_NODES: Words = ("provision.all", "--to", "nodes")
SOON: Words = ("rehearsal.fault", "lease-ends-soon")


def _refuses(code: int, says: str, words: Words = LEASE) -> tuple[Ask, ...]:
    return (Ask(words, (code,), says),)


TROUBLES = (
    Trouble("lease-too-long", UC, "says what is granted", _refuses(3, "longer than the site grants"), after=LEASE),
    Trouble(
        "lease-ends-soon", UC, "extends, after the price", _refuses(0, "until 20.* instead of", EXTEND), before=(LEASE,)
    ),
    Trouble(
        "no-extension",
        UC,
        "says so, extends when it may",
        _refuses(3, "can only be extended within", EXTEND),
        before=(LEASE, SOON),
        after=EXTEND,
    ),
    Trouble("no-su", UC, "says how many SU are missing", _refuses(3, r"30[56](\.\d+)? SU are missing"), after=LEASE),
    Trouble("no-budget", UC, "says how many SU are missing", _refuses(3, "left in user budget"), after=LEASE),
    Trouble("allocation-over", UC, "asks for its last day", _refuses(3, "would outlive the allocation"), after=LEASE),
    Trouble(
        "no-private-flavor",
        KVM,
        "makes no server, says which flavor",
        _refuses(1, "[Ff]lavor", NODES),
        before=(TO_NETWORK,),
        after=NODES,
    ),
    Trouble(
        "lease-ends",
        UC,
        "makes lease and servers anew",
        _refuses(0, "the last one ended", TO_NODES),
        before=(TO_NODES,),
        ends=True,
    ),
    Trouble("idle-reaper", UC, "makes the lease anew", _refuses(0, "create lease .*have 0"), before=(LEASE,)),
    Trouble(
        "no-security-groups", KVM, "stops before a port is open", _refuses(3, "not there", NETWORK), (LEASE,), NETWORK
    ),
    Trouble("no-volumes", KVM, "says what the site lacks", _refuses(3, "no such service", STORAGE), after=STORAGE),
    Trouble("firewall-off", UC, "turns it on again", _refuses(0, "firewall gpu1", NODES), before=(TO_NODES,)),
    Trouble("no-addresses", KVM, "waits for a slot", _refuses(3, "no slot now"), after=LEASE),
    Trouble(
        "address-taken",
        UC,
        "says which address",
        _refuses(1, "(?i)already allocated|in use", NETWORK),
        (LEASE,),
        NETWORK,
    ),
    Trouble("slow-deploy", KVM, "waits, and says so", _refuses(0, "wait .*server", NODES), before=(TO_NETWORK,)),
    Trouble(
        "never-boots",
        KVM,
        "does not trust ACTIVE",
        _refuses(1, "is ACTIVE and does not answer", NODES),
        before=(TO_NETWORK,),
    ),
    Trouble(
        "wrong-credential",
        KVM,
        "tries it once, ever",
        (*_refuses(3, "credentials refused"), *_refuses(3, "is not tried again")),
        after=LEASE,
    ),
    Trouble(
        "account-locked",
        KVM,
        "tries it once, ever",
        (*_refuses(3, "Account is disabled"), *_refuses(3, "is not tried again")),
        after=LEASE,
    ),
    Trouble("no-hosts", UC, "names the earliest slot", _refuses(3, "no slot before 20"), after=LEASE),
    Trouble("lease-race", UC, "tries once more, on another host", _refuses(0, "lease .*again.*failed")),
    Trouble("lease-fails", UC, "gives up after two", _refuses(3, "failed twice"), after=LEASE),
    Trouble(
        "deploy-fails",
        KVM,
        "says why, makes them anew",
        _refuses(1, "injected deploy failure", NODES),
        before=(TO_NETWORK,),
        after=NODES,
    ),
    Trouble(
        "quota-servers",
        KVM,
        "says which quota",
        (Ask(NODES, (1, 3), "(?i)quota"),),
        before=(TO_NETWORK,),
        after=NODES,
    ),
    Trouble("quota-volumes", KVM, "says which quota", _refuses(3, "over quota", STORAGE), after=STORAGE, bare=True),
    Trouble("quota-ports", KVM, "says which quota", _refuses(3, "over quota", NETWORK), before=(LEASE,), after=NETWORK),
    Trouble("nova-killed", KVM, "goes on when it is back", _refuses(0, "lease"), after=LEASE),
    Trouble("placement-frozen", KVM, "waits", _refuses(0, "server", NODES), before=(TO_NETWORK,)),
    Trouble("keystone-frozen", KVM, "waits a minute, not for ever", _refuses(3, "does not answer"), after=LEASE),
    Trouble("keystone-down", KVM, "asks once, blames no credential", _refuses(3, "does not answer"), after=LEASE),
    Trouble(
        "token-unknown",
        KVM,
        "blames no credential",
        (*_refuses(3, "does not know our token"), *_refuses(3, "does not know our token")),
        after=LEASE,
    ),
    Trouble("rate-limited", UC, "comes back when told", _refuses(0, "HTTP 429 .*again in 2 s")),
    Trouble("busy", UC, "comes back when told", _refuses(0, "HTTP 503 .*again in 2 s")),
    Trouble("unavailable", UC, "asks once, then stops", _refuses(3, "does not answer"), after=LEASE),
)

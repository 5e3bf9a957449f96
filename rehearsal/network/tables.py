"""The two tables that hold whatever the sites ask for: the namespace's own, and the seal on the machine. Pure text."""

from __future__ import annotations

from rehearsal.network.addresses import (
    MACHINE_ADDRESS,
    PREFIXES,
    SERVICE_ADDRESSES,
    UPLINK,
    UPLINK_CIDR,
)

GUARD = "tandem"
SEAL = "tandem_seal"
ESCAPED = "escaped"

# `inside` holds (bridge, bridge): frames that stay on their bridge. nft cannot compare two interfaces with each other.
# IPv6 is off here, but hosts on one bridge could speak it among themselves, past every security group: dropped.
# Declared first and flushed by chain, so that applying it again neither loses bridges nor opens a gap.
_GUARD = """\
table ip {guard} {{
  set inside {{ type ifname . ifname; }}
  chain forward {{ type filter hook forward priority 0; policy drop; }}
  chain input {{ type filter hook input priority 0; policy drop; }}
  chain output {{ type filter hook output priority 0; policy accept; }}
  chain refuse {{ }}
}}
flush chain ip {guard} forward
flush chain ip {guard} input
flush chain ip {guard} output
flush chain ip {guard} refuse
table ip {guard} {{
  chain refuse {{
    meta l4proto tcp counter reject with tcp reset
    counter reject with icmp admin-prohibited
  }}
  chain forward {{
    ct state established,related accept
    oifname "{uplink}" jump refuse
    iifname . oifname @inside accept
    ct status dnat accept
    jump refuse
  }}
  chain input {{
    iifname "lo" accept
    ct state established,related accept
    iifname "{uplink}" ip daddr {uplink_cidr} accept
    iifname "{uplink}" counter drop
    ip daddr {{ {services} }} accept
    icmp type echo-request accept
    jump refuse
  }}
  chain output {{
    oifname "{uplink}" ct state established,related accept
    oifname "{uplink}" jump refuse
  }}
}}
table ip6 {guard} {{
  chain forward {{ type filter hook forward priority 0; policy drop; }}
}}
"""

# Postrouting sees what the machine sends and what it would forward. What comes back over the veth can only be answers.
_SEAL = """\
table inet {seal} {{
  set prefixes {{ type ipv4_addr; flags interval; }}
  set links {{ type ifname; }}
  counter {escaped} {{ }}
  chain leaving {{ type filter hook postrouting priority 300; policy accept; }}
  chain arriving {{ type filter hook prerouting priority -300; policy accept; }}
}}
flush table inet {seal}
flush set inet {seal} prefixes
flush set inet {seal} links
table inet {seal} {{
  set prefixes {{ type ipv4_addr; flags interval; elements = {{ {prefixes} }}; }}
  set links {{ type ifname; elements = {{ "lo", "{veth}" }}; }}
  chain leaving {{
    oifname != @links ip daddr @prefixes counter name {escaped} drop
    oifname != @links ip saddr @prefixes counter name {escaped} drop
  }}
  chain arriving {{
    iifname != @links ip daddr @prefixes counter drop
    iifname != @links ip saddr @prefixes counter drop
    iifname "{veth}" ip daddr != {machine} counter drop
    iifname "{veth}" tcp flags & (syn | ack) == syn counter drop
    iifname "{veth}" icmp type echo-request counter drop
    iifname "{veth}" meta l4proto udp counter drop
    iifname "{veth}" meta nfproto ipv6 counter drop
  }}
}}
"""


def guard() -> str:
    """What may pass in the namespace: answers, frames that stay on their bridge, and what a floating IP brought in."""
    return _GUARD.format(guard=GUARD, uplink=UPLINK, uplink_cidr=UPLINK_CIDR, services=", ".join(SERVICE_ADDRESSES))


def seal(veth: str) -> str:
    """What the machine drops and counts: rehearsal addresses on other interfaces, and questions from the veth."""
    return _SEAL.format(seal=SEAL, escaped=ESCAPED, veth=veth, machine=MACHINE_ADDRESS, prefixes=", ".join(PREFIXES))


def inside(verb: str, bridge: str) -> str:
    """Add the bridge to what may forward within itself, or delete it."""
    return f'{verb} element ip {GUARD} inside {{ "{bridge}" . "{bridge}" }}\n'

"""Faults of the rehearsal's clouds: what Chameleon does to a platform, on demand, and back.

Real services do them wherever they can (a foreign lease takes the hosts, a quota is set, a process is stopped); the
rest lies in the trees' faults.json, which the services read.
"""

from rehearsal.faults.switch import State, listed, off, on

__all__ = ["State", "listed", "off", "on"]

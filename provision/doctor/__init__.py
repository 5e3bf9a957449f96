"""`invoke doctor`: what is wrong with this machine, these settings, credentials and leases, and what to type next.

finding    one line of it                    machine     tools, disk, names, registries
site       what a cloud tells before a run   platform    what stands: leases, GPU, link
begin      from no account to a first run    trial       `--live`: the smallest lease there is, for real
"""

from provision.doctor.examination import examine, run
from provision.doctor.finding import Finding

__all__ = ["Finding", "examine", "run"]

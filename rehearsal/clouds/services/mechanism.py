"""neutron's mechanism driver: binds every port at once; the fabric thread and nova's driver do the plugging."""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class TandemMechanism(api.MechanismDriver):  # type: ignore[misc]  # neutron_lib has no types
    """Binds without an agent. Port filtering is done by the fabric's nft rules, not by nova."""

    def initialize(self) -> None:
        """Nothing to prepare."""

    @property
    def connectivity(self) -> str:
        """Layer 2: one bridge a network."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind to the first segment offered, and report the port as up."""
        segment = context.segments_to_bind[0]
        details = {portbindings.CAP_PORT_FILTER: False}
        # nova refuses plain bridges; what type it is told matters to nobody else.
        context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OVS, details, status=constants.PORT_STATUS_ACTIVE)

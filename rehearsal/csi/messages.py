"""The messages of CSI v1 and of the kubelet's plugin registration, reduced to the fields that the shim reads or writes.

Numbers are those of csi.proto and pluginregistration/v1/api.proto; fields that are not named here are skipped.
"""

from __future__ import annotations

import proto

CONTROLLER_SERVICE = 1  # PluginCapability.Service.Type
CREATE_DELETE_VOLUME = 1  # ControllerServiceCapability.RPC.Type


class Empty(proto.Message):
    """Any message of which nothing is read or written."""


class PluginInfo(proto.Message):
    """Identity.GetPluginInfo's answer."""

    name = proto.Field(proto.STRING, number=1)
    vendor_version = proto.Field(proto.STRING, number=2)


class Kind(proto.Message):
    """The inner part of a capability."""

    type_ = proto.Field(proto.INT32, number=1)


class Capability(proto.Message):
    """PluginCapability with a service, ControllerServiceCapability with an RPC: both look like this."""

    kind = proto.Field(Kind, number=1)


class Capabilities(proto.Message):
    """The answer to every question for capabilities."""

    capabilities = proto.RepeatedField(Capability, number=1)


class CreateVolume(proto.Message):
    """Controller.CreateVolume's question. parameters: the class's, and the claim's name and namespace."""

    name = proto.Field(proto.STRING, number=1)
    parameters = proto.MapField(proto.STRING, proto.STRING, number=4)


class Volume(proto.Message):
    """A volume. context: what every publishing of it is given."""

    capacity_bytes = proto.Field(proto.INT64, number=1)
    volume_id = proto.Field(proto.STRING, number=2)
    context = proto.MapField(proto.STRING, proto.STRING, number=3)


class CreatedVolume(proto.Message):
    """Controller.CreateVolume's answer."""

    volume = proto.Field(Volume, number=1)


class NodeInfo(proto.Message):
    """Node.NodeGetInfo's answer."""

    node_id = proto.Field(proto.STRING, number=1)


class MountVolume(proto.Message):
    """How a volume is to be mounted. flags: the class's mountOptions."""

    flags = proto.RepeatedField(proto.STRING, number=2)


class VolumeCapability(proto.Message):
    """Of a mounted volume."""

    mount = proto.Field(MountVolume, number=2)


class PublishVolume(proto.Message):
    """Node.NodePublishVolume's question. secrets: of the Secret that the class names."""

    volume_id = proto.Field(proto.STRING, number=1)
    target_path = proto.Field(proto.STRING, number=4)
    capability = proto.Field(VolumeCapability, number=5)
    readonly = proto.Field(proto.BOOL, number=6)
    secrets = proto.MapField(proto.STRING, proto.STRING, number=7)
    context = proto.MapField(proto.STRING, proto.STRING, number=8)


class UnpublishVolume(proto.Message):
    """Node.NodeUnpublishVolume's question."""

    volume_id = proto.Field(proto.STRING, number=1)
    target_path = proto.Field(proto.STRING, number=2)


class Registration(proto.Message):
    """What the kubelet is told about a plugin."""

    type_ = proto.Field(proto.STRING, number=1)
    name = proto.Field(proto.STRING, number=2)
    endpoint = proto.Field(proto.STRING, number=3)
    supported_versions = proto.RepeatedField(proto.STRING, number=4)


class RegistrationStatus(proto.Message):
    """What the kubelet made of it."""

    plugin_registered = proto.Field(proto.BOOL, number=1)
    error = proto.Field(proto.STRING, number=2)

"""The RPCs of one role as gRPC handlers: CSI's Identity with Controller or Node, and the kubelet's Registration."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc

from rehearsal.csi import messages, volumes
from rehearsal.csi.mounts import Mounts

log = logging.getLogger("csi")

NAME = "rclone.csi.veloxpack.io"  # the testbed's driver: claims and classes are the same in both environments
VERSION = "0.1.0-shim"
REGISTERED = Path("/tmp/registered")  # there once the kubelet has taken us: the pod is ready

Answer = Callable[[Any], Any]
Methods = Mapping[str, tuple[Any, Answer]]


def identity() -> grpc.GenericRpcHandler:
    """Who we are."""
    return _service(
        "csi.v1.Identity",
        {
            "GetPluginInfo": (messages.Empty, lambda _: messages.PluginInfo(name=NAME, vendor_version=VERSION)),
            "GetPluginCapabilities": (messages.Empty, lambda _: _capability(messages.CONTROLLER_SERVICE)),
            "Probe": (messages.Empty, lambda _: messages.Empty()),
        },
    )


def controller() -> grpc.GenericRpcHandler:
    """Volumes are paths: making one takes nothing, and removing one leaves its data, as the testbed's driver does."""
    return _service(
        "csi.v1.Controller",
        {
            "ControllerGetCapabilities": (messages.Empty, lambda _: _capability(messages.CREATE_DELETE_VOLUME)),
            "CreateVolume": (messages.CreateVolume, _create),
            "DeleteVolume": (messages.Empty, lambda _: messages.Empty()),
        },
    )


def node(name: str, mounts: Mounts) -> grpc.GenericRpcHandler:
    """Mounts on this node."""

    def publish(asked: messages.PublishVolume) -> messages.Empty:
        mounts.publish(
            volumes.mount(
                asked.volume_id,
                asked.target_path,
                asked.context,
                asked.secrets,
                asked.capability.mount.flags,
                readonly=asked.readonly,
            )
        )
        return messages.Empty()

    def unpublish(asked: messages.UnpublishVolume) -> messages.Empty:
        mounts.unpublish(asked.target_path)
        return messages.Empty()

    return _service(
        "csi.v1.Node",
        {
            "NodeGetInfo": (messages.Empty, lambda _: messages.NodeInfo(node_id=name)),
            "NodeGetCapabilities": (messages.Empty, lambda _: messages.Capabilities()),
            "NodePublishVolume": (messages.PublishVolume, publish),
            "NodeUnpublishVolume": (messages.UnpublishVolume, unpublish),
        },
    )


def registration(endpoint: str) -> grpc.GenericRpcHandler:
    """What node-driver-registrar says for other drivers. endpoint: our socket as the kubelet sees it."""

    def noted(status: messages.RegistrationStatus) -> messages.Empty:
        if not status.plugin_registered:
            log.error("the kubelet does not take us: %s", status.error)
            os._exit(1)  # started anew, we are asked again
        REGISTERED.touch()
        return messages.Empty()

    told = messages.Registration(type_="CSIPlugin", name=NAME, endpoint=endpoint, supported_versions=["1.0.0"])
    return _service(
        "pluginregistration.Registration",
        {
            "GetInfo": (messages.Empty, lambda _: told),
            "NotifyRegistrationStatus": (messages.RegistrationStatus, noted),
        },
    )


def _create(asked: messages.CreateVolume) -> messages.CreatedVolume:
    context = volumes.resolved(asked.parameters)
    volume = messages.Volume(volume_id=f"{context[volumes.REMOTE]}#{asked.name}", context=context)
    return messages.CreatedVolume(volume=volume)


def _capability(number: int) -> messages.Capabilities:
    return messages.Capabilities(capabilities=[messages.Capability(kind=messages.Kind(type_=number))])


def _service(name: str, methods: Methods) -> grpc.GenericRpcHandler:
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _told(method, answer), request_deserializer=question.deserialize, response_serializer=_bytes
        )
        for method, (question, answer) in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


def _told(method: str, answer: Answer) -> Callable[[Any, grpc.ServicerContext], Any]:
    """Errors as the caller expects them: a wrong request, or something that may pass."""

    def handle(asked: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(asked)
        except ValueError as error:
            return context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except OSError as error:
            log.error("%s: %s", method, error)
            return context.abort(grpc.StatusCode.INTERNAL, str(error))

    return handle


def _bytes(message: Any) -> bytes:
    made: bytes = type(message).serialize(message)
    return made

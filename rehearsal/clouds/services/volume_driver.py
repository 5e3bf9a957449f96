# ruff: noqa: ARG002  # the signatures are cinder's
"""Cinder's volume driver: a volume is a sparse file; nova's driver gives it a loop device where it is attached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cinder import interface
from cinder.volume import driver
from oslo_config import cfg

from rehearsal.clouds import loops
from rehearsal.clouds.services.servers import VOLUME_TYPE

GIB = 1024**3
CAPACITY_GIB = 1000
"""What the scheduler is told; files are sparse, so what is written is what is used."""
_OPTIONS = [cfg.StrOpt("volumes_dir", help="Folder of the sparse files.")]


@interface.volumedriver
class SparseDriver(driver.VolumeDriver):  # type: ignore[misc]  # cinder has no types
    """Volumes as `<volumes_dir>/<id>.img`."""

    VERSION = "1.0"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(_OPTIONS)
        self.folder = Path(self.configuration.volumes_dir)

    def check_for_setup_error(self) -> None:
        """The folder must be there; `trees.start` makes it."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def _image(self, volume: Any) -> Path:
        return self.folder / f"{volume.id}.img"

    def create_volume(self, volume: Any) -> None:
        """A hole of the right size."""
        image = self._image(volume)
        image.touch(mode=0o600)
        with image.open("r+b") as file:
            file.truncate(volume.size * GIB)

    def delete_volume(self, volume: Any) -> None:
        """Free the loop device, remove the file; silent if they are gone."""
        image = self._image(volume)
        if image.exists():
            loops.detach(image)
            image.unlink()

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """A larger hole; a running host sees it when the volume is attached again."""
        with self._image(volume).open("r+b") as file:
            file.truncate(new_size * GIB)

    def initialize_connection(self, volume: Any, connector: Any, **kwargs: Any) -> dict[str, Any]:
        """What nova's driver needs to attach it."""
        return {"driver_volume_type": VOLUME_TYPE, "data": {"path": str(self._image(volume)), "volume_id": volume.id}}

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any) -> None:
        """nova's driver has freed the loop device, unless the server went without it."""
        image = self._image(volume)
        if image.exists():
            loops.detach(image)

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing is exported: volume and server are on the same machine."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """See ensure_export."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """See ensure_export."""

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        """Capacity for cinder's scheduler."""
        return {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "tandem",
            "driver_version": self.VERSION,
            "storage_protocol": "file",
            "total_capacity_gb": CAPACITY_GIB,
            "free_capacity_gb": CAPACITY_GIB,
            "reserved_percentage": 0,
            "multiattach": False,
        }

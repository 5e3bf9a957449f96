"""StorageClass `object` in the rehearsal: a CSI shim over the real rclone, for want of a driver that can be had.

It speaks as much of CSI as the kubelet and the external provisioner ask for, under the name and with the parameters of
the driver that the testbed has, and mounts with `rclone mount`. Nothing outside the rehearsal may use it; the report
says so ("StorageClass object: CSI shim"). A package of its own: its image holds nothing else of this checkout.
"""

"""Disks as lsblk 2.38 shows them."""

from pathlib import Path
from typing import Any

from deploy.flash.devices import Device, parse_device


def node(name: str = "sdb", size: int = 64 * 10**9, **values: Any) -> dict[str, Any]:
    """A node in the JSON of lsblk; a removable disk unless told otherwise."""
    return {
        "name": name,
        "path": f"/dev/{name}",
        "maj:min": "8:16",
        "type": "disk",
        "size": size,
        "log-sec": 512,
        "rm": True,
        "ro": False,
        "tran": "usb",
        "model": "STORAGE DEVICE  ",
        "serial": "000000001206",
        "fstype": None,
        "label": None,
        "partlabel": None,
        "mountpoints": [None],
        **values,
    }


def part(name: str = "sdb1", **values: Any) -> dict[str, Any]:
    """The node of a partition on the disk."""
    return node(name, 10**9, **{"type": "part", "model": None, "serial": None, "fstype": "vfat", **values})


def disk(*children: dict[str, Any], sys: Path = Path("/nonexistent"), **values: Any) -> Device:
    """The disk of such a node, with these nodes below it."""
    return parse_device(node(**values) | ({"children": list(children)} if children else {}), sys)

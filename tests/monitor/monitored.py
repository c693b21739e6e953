"""A monitor in a folder: the files that a deploy would bring, with their paths led there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.fleet.monitor import monitor_places
from deploy.fleet.monitor.monitor_settings import MonitorSettings
from deploy.fleet.monitor.story import page_files, texts_of
from deploy.fleet.monitor.watched_boards import WatchedBoard
from deploy.hosts.text_files import TextFile
from deploy.setting_fields import role_settings

PASSWORD = "correct horse battery"


def told(**data: Any) -> MonitorSettings:
    """The settings of a monitor that is told this."""
    return role_settings(MonitorSettings, data)


def a_board(
    name: str, port: int = 11434, keyed: bool = False, exporter: bool = False, models: tuple[str, ...] = ()
) -> WatchedBoard:
    """A board on this machine."""
    return WatchedBoard(name, "127.0.0.1", port, keyed, exporter, "rpi5", models)


class MonitorFolder:
    """What lies on a monitor: `folder`/etc for FOLDER of monitor_places, and the others likewise."""

    def __init__(
        self,
        folder: Path,
        settings: MonitorSettings,
        boards: list[WatchedBoard],
        gateways: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.files = [*texts_of(settings, boards, "monitor", gateways or {}), *page_files(settings)]
        for file in self.files:
            self.write(self.led(file.dest), self.led_text(file))
        for name, secret in settings.secrets.items():
            self.write(self.led(f"{monitor_places.SECRETS}/{name}"), secret.get_secret_value())
        for board in boards:
            if board.is_keyed:
                self.write(self.led(f"{monitor_places.KEYS}/{board.file_name}"), "unknown\n")
        left = {board.name: {"kind": board.kind} for board in boards}
        self.write(self.led(monitor_places.FLEET), json.dumps({"version": 1, "boards": left}))

    def led(self, path: str) -> Path:
        """Where a path of the monitor lies in the folder."""
        return self.folder / path.lstrip("/")

    def led_text(self, file: TextFile) -> str:
        """The file's text, with the monitor's paths led there."""
        return file.content.replace(monitor_places.FOLDER, str(self.led(monitor_places.FOLDER)))

    def write(self, path: Path, text: str) -> None:
        """Writes a file that lies in the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

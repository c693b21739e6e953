"""What a board is called that nobody gave a name."""

from pathlib import Path

import pytest

from deploy.onboard.identity import host_names


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"proc/device-tree/serial-number": "10000000A1B2C3D4\0"}, "boardllama-b2c3d4"),
        (
            {"sys/class/dmi/id/product_serial": "Not Specified\n", "etc/machine-id": "0" * 26 + "abcdef"},
            "boardllama-abcdef",
        ),
        ({"sys/class/dmi/id/product_serial": "To be filled by O.E.M."}, "boardllama"),
        (
            {
                "sys/class/net/ath0/address": "02:00:00:aa:bb:cc\n",
                "sys/class/net/ath0/device/x": "",
                "sys/class/net/ath0/wireless/x": "",
                "sys/class/net/end0/address": "02:00:00:11:22:33\n",
                "sys/class/net/end0/device/x": "",
                "sys/class/net/docker0/address": "02:00:00:00:00:01",
            },
            "boardllama-112233",
        ),
    ],
)
def test_a_board_without_a_name_is_called_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], name: str
) -> None:
    monkeypatch.setattr(host_names, "run_command", lambda *words, deadline: "")
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert host_names.default_name(tmp_path) == name

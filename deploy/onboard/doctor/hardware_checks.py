"""Checks of what is plugged into the board. Pure. None: this board has no such part, and gets no line about it."""

from datetime import datetime, timezone

from .facts import Facts
from .hardware import FanFacts, NvmeFacts
from .lights import Finding, bad, good, look

PI5 = "Raspberry Pi 5 "
# Degrees Celsius. The device trees of Raspberry Pi 5 and of RK3588 boards start their fans at 50 to 55.
FAN_TURNS = 65.0
# Before it the loader hands over addresses that device trees of mainline kernels do not fit (raspberrypi/linux#7166).
MAINLINE_EEPROM = datetime(2025, 2, 11, tzinfo=timezone.utc)
# Milliamperes. From a supply that offers less, a Raspberry Pi 5 gives its USB ports 600 together, instead of 1600.
FULL_SUPPLY = 5000
# Values of BOOT_ORDER, as Raspberry Pi's documentation lists them.
BOOT_MODES = {1: "SD card", 2: "network", 3: "rpiboot", 4: "USB", 5: "USB", 6: "NVMe", 7: "HTTP"}
USB3 = 5000  # Mbit/s


def check_fan(facts: Facts) -> Finding | None:
    """Whether each fan turns when it is needed. Only a Raspberry Pi 5 is asked for a fan: without one it slows down."""
    for fan in facts.hardware.fans:
        if finding := still_fan(fan, facts.temperature):
            return finding
    if facts.hardware.fans:
        return good(", ".join(fan_text(fan) for fan in facts.hardware.fans))
    if not facts.board.startswith(PI5):
        return None
    return look(
        "none is seen; a Raspberry Pi 5 slows down at 80 to 85 °C, and a model keeps all its cores busy",
        "fit the Active Cooler, and use Raspberry Pi OS's kernel: Debian's own drives no fan of a Raspberry Pi 5",
    )


def still_fan(fan: FanFacts, temperature: float | None) -> Finding | None:
    """What is wrong with a fan that should turn and does not; None of any other."""
    if fan.turns == 0 and fan.drive:
        return bad(
            f"{fan.name} is driven with {fan.drive} of 255, and stands still",
            "is its plug in, does a cable touch its blades? Else use another fan",
        )
    stands = fan.drive == 0 if fan.turns is None else fan.turns == 0
    if stands and (temperature or 0) >= FAN_TURNS:
        return bad(
            f"{fan.name} stands still at {temperature:.0f} °C; from {FAN_TURNS:.0f} °C on it must turn",
            "has somebody switched it off (pwm1_enable, a fan curve in config.txt)? Restart the board",
        )
    return None


def fan_text(fan: FanFacts) -> str:
    """Such as `pwmfan turns, 2310 a minute`."""
    if fan.turns:
        return f"{fan.name} turns, {fan.turns} a minute"
    if fan.drive:
        return f"{fan.name} is driven with {fan.drive} of 255; it does not tell whether it turns"
    return f"{fan.name} stands still: the board is cool enough"


def check_eeprom(facts: Facts) -> Finding | None:
    """How old the boot loader in the board's EEPROM is."""
    if facts.hardware.eeprom is None:
        return None
    built = datetime.fromtimestamp(facts.hardware.eeprom, timezone.utc)
    if facts.board.startswith(PI5) and built < MAINLINE_EEPROM:
        return look(
            f"of {built:%Y-%m-%d}; Debian's own kernel needs {MAINLINE_EEPROM:%Y-%m-%d} or newer",
            "before flashing another system: `sudo rpi-eeprom-update -a` of Raspberry Pi OS",
        )
    return good(f"of {built:%Y-%m-%d}")


def check_nvme(facts: Facts) -> Finding | None:
    """Whether each NVMe disk is cool enough, and linked as fast as it and its slot can.

    A virtual machine's disk has no link, and a temperature that nobody has measured: it has no line.
    """
    disks = [disk for disk in facts.hardware.nvme if disk.link]
    for disk in disks:
        if disk.temperature is not None and disk.limit is not None and disk.temperature >= disk.limit:
            return bad(
                f"{disk.name} has {disk.temperature:.0f} °C; its maker's limit is {disk.limit:.0f} °C",
                "give it a heat sink, or air between it and the board",
            )
        if disk.link and disk.own and disk.slot and disk.link != (best := disk.own.shared_with(disk.slot)):
            return bad(
                f"{disk.name} is linked with {disk.link}; it and its slot can {best}",
                "power off, seat the disk and its flat cable again; a long cable may need a slower setting",
            )
    return good(", ".join(nvme_text(disk) for disk in disks)) if disks else None


def nvme_text(disk: NvmeFacts) -> str:
    """Such as `nvme0 (WD SN580): 5.0 GT/s x1 (it could 16.0 GT/s x4 in another slot), 41 °C`."""
    more = f" (it could {disk.own} in another slot)" if disk.own and disk.own != disk.link else ""
    heat = f"{disk.temperature:.0f} °C" if disk.temperature is not None else "temperature not told"
    return f"{disk.name}{f' ({disk.model})' * bool(disk.model)}: {disk.link}{more}, {heat}"


def check_usb_power(facts: Facts) -> Finding | None:
    """Whether the supply of a Raspberry Pi 5 is strong enough for disks at its USB ports."""
    supply = facts.hardware.supply
    if supply is None:
        return None
    offers = f"the supply offers {supply.current / 1000:.1f} A"
    if supply.usb_overload:
        return bad(
            f"a USB device took too much current at the start; {offers}",
            "unplug one USB device after the other; or a hub with its own supply",
        )
    if supply.current < FULL_SUPPLY:
        return look(
            f"{offers}; below {FULL_SUPPLY / 1000:.1f} A the USB ports together give 0.6 A: too little for most disks",
            "with a disk at USB take the 27 W supply; a supply that cannot tell: PSU_MAX_CURRENT in the EEPROM",
        )
    return good(f"{offers}, USB ports give all they can")


def check_boot_source(facts: Facts) -> Finding | None:
    """What the board started from, and what its system lies on."""
    disk, mode = facts.hardware.root_disk, facts.hardware.boot_mode
    loader = BOOT_MODES.get(mode, f"source {mode}") if mode is not None else ""
    if disk is None:
        return good(f"the loader took {loader}") if loader else None
    text = f"the system is on {disk.name}, {disk.transport}"
    if disk.usb_speed and disk.usb_speed < USB3 <= (disk.usb_fastest or 0):
        return look(
            f"{text}, at {disk.usb_speed} Mbit/s; this board has ports of {disk.usb_fastest}",
            "plug the disk into a blue port, with a USB 3 cable: models load quicker",
        )
    if loader and not disk.transport.startswith(loader):
        return good(f"{text}; the loader is on {loader}: both must stay")
    return good(text)

"""Checks of what is around the software: network, clock, power, heat, disks. Pure."""

from .facts import Facts
from .lights import Finding, Light, bad, good, in_megabytes, unknown

# What a deploy of another release needs, without its model. A release has 40 inodes.
FREE_BYTES, FREE_INODES = 200_000_000, 500
# Degrees Celsius at which the Raspberry Pi's firmware, and most others, begin to slow the CPU down.
HOT = 80.0
# Bits of `vcgencmd get_throttled`: the low bit says now, the bit 16 places higher since the start.
UNDER_VOLTAGE, SLOWED, TOO_HOT = 0x1_0001, 0x6_0006, 0x8_0008
DAY = 86_400.0


def check_link(facts: Facts) -> Finding:
    """Whether a network card has a link, by cable or Wi-Fi."""
    if facts.interfaces is None:
        return unknown()
    linked = [f"{card.name} ({'Wi-Fi' if card.wifi else 'cable'})" for card in facts.interfaces if card.carrier]
    if linked:
        return good(f"{', '.join(linked)} has a link")
    if not facts.interfaces:
        return bad("no network card is seen", "plug in the network adapter again, then restart the board")
    names = ", ".join(card.name for card in facts.interfaces)
    return bad(
        f"{names}: no link",
        "plug the cable in at both ends (its lights must come on), or mend wifi_… of boardllama.txt",
    )


def check_address(facts: Facts) -> Finding:
    """Whether the board has an address that others can reach."""
    if facts.interfaces is None:
        return unknown()
    found = [f"{one} on {card.name}" for card in facts.interfaces for one in card.addresses]
    usable = [text for text in found if not text.startswith("169.254.")]
    if usable:
        return good(", ".join(usable))
    seen = f"only {found[0]}, which the board gave itself" if found else "none"
    return bad(seen, "is there a DHCP server (a router) on this cable? Else set address in boardllama.txt")


def check_router(facts: Facts) -> Finding:
    """Whether the router is there, without which the board reaches its own network alone."""
    if not facts.gateway:
        return unknown("none: the board reaches its own network alone")
    if facts.gateway_answers is None:
        return unknown(f"{facts.gateway}: cannot be asked")
    if facts.gateway_answers:
        return good(f"{facts.gateway} is there")
    return bad(
        f"{facts.gateway} does not answer",
        "is that the router's address, and is the router on? See gateway in boardllama.txt",
    )


def check_name_servers(facts: Facts) -> Finding:
    """Whether a name server answers."""
    if not facts.dns:
        return unknown("no name server is set: only addresses can be reached")
    listed = ", ".join(facts.dns)
    if facts.dns_answers:
        return good(f"{listed} answers")
    return bad(f"{listed} does not answer", "set dns in boardllama.txt to one that does, such as the router's address")


def check_clock(facts: Facts) -> Finding:
    """Whether the clock is right: a wrong one breaks certificates and makes logs useless."""
    now = Light.GOOD if facts.synchronized else Light.UNKNOWN
    if facts.created and facts.now < facts.created - DAY:
        days = (facts.created - facts.now) / DAY
        return bad(
            f"{days:.0f} days before the release was made",
            "connect the board to a network with a time server, or `date -s`",
        )
    return now, "set by a time server" if facts.synchronized else "plausible; no time server has set it"


def check_power(facts: Facts) -> Finding:
    """Whether the board has had enough voltage: too little is the usual cause of crashes and damaged cards."""
    if facts.throttled is None:
        return unknown()
    if facts.throttled & UNDER_VOLTAGE:
        when = "now" if facts.throttled & 1 else "since the start"
        return bad(
            f"too little voltage {when} (throttled=0x{facts.throttled:x})",
            "take the board's own power supply and a short, thick cable",
        )
    return good("enough voltage")


def check_heat(facts: Facts) -> Finding:
    """Whether the board is cool enough for its full speed."""
    degrees = f"{facts.temperature:.0f} °C" if facts.temperature is not None else "not measured"
    word = facts.throttled or 0
    slowed = word & TOO_HOT or (word & SLOWED and not word & UNDER_VOLTAGE)  # too little voltage slows it down as well
    if slowed or (facts.temperature or 0) >= HOT:
        text = f"{degrees}{', slowed down because of it' if slowed else ''}"
        return bad(text, "give it a heat sink, a fan, or room around it; or fewer threads in config.json")
    return unknown() if facts.temperature is None else good(degrees)


def check_disks(facts: Facts) -> Finding:
    """Whether each disk takes writes and has room for the next deploy."""
    if not facts.disks:
        return unknown()
    for disk in facts.disks:
        if disk.read_only:
            return bad(
                f"{disk.folder} takes no writes", "the card is worn or damaged: `dmesg` says more; flash a new one"
            )
        if disk.free < min(FREE_BYTES, disk.size // 10):
            return bad(
                f"{disk.folder}: {in_megabytes(disk.free)} free of {in_megabytes(disk.size)}",
                "remove models that are not served, `boardllama prune`, `journalctl --vacuum-size=50M`",
            )
        if disk.inodes and disk.inodes_free < FREE_INODES:
            return bad(
                f"{disk.folder}: {disk.inodes_free} inodes are left",
                "too many small files: `du --inodes -x / | sort -n | tail` finds them",
            )
    return good(", ".join(f"{disk.folder} {in_megabytes(disk.free)} free" for disk in facts.disks[:2]))

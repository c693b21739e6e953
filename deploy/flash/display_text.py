"""Sizes as a person reads them, and names that come from a card, as they can be shown."""

SIZE_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def masked_text(text: str) -> str:
    """The text with one ? for each sign that would steer a terminal: whoever made a card chose its names.

    In a table of disks an escape, as onboard/spelling.py writes it, would move what stands after the name.
    """
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def size_text(size: int) -> str:
    """Such as 64 GB or 7.9 GB: two or three digits, in decimal units as on the label of a card."""
    for unit, name in SIZE_UNITS:
        if size >= unit:
            number = size / unit
            return (
                f"{number:.0f} {name}" if number >= 20 or abs(number - round(number)) < 0.05 else f"{number:.1f} {name}"
            )
    return f"{size} bytes"

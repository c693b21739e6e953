"""Where Debian's packages come from, for what names an address itself."""

import os

ARCHIVE = "http://deb.debian.org/debian"


def archive_address() -> str:
    """The archive of BOARDLLAMA_MIRROR, an address or a line of sources.list; without it Debian's own."""
    words = os.environ.get("BOARDLLAMA_MIRROR", "").split()
    return next((word for word in words if "://" in word), ARCHIVE)

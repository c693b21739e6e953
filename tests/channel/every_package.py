"""All that a bundle holds of Debian, installed on the VM, whose apt reaches no network: a deploy.

make bundle INVENTORY=… OUT=…; pyinfra -y --limit targets inventory/qemu.py tests/channel/every_package.py
"""

from pyinfra import host

from deploy.debian.deb_store import PACKAGES
from deploy.debian.word_lists import read_words
from deploy.hosts.packages import debian_packages

if "targets" in host.groups:
    debian_packages(name="Install every package of a bundle", names=tuple(read_words(PACKAGES)), units=())

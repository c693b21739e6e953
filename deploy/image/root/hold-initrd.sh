# Runs on the controller before packages are set up: an initrd made now would hold the stand-ins' libraries.
set -eu
mkdir -p "$1/usr/sbin"
dpkg-divert --root="$1" --quiet --local --rename --divert /usr/sbin/update-initramfs.real --add /usr/sbin/update-initramfs
printf '#!/bin/sh\n' > "$1/usr/sbin/update-initramfs"
chmod 755 "$1/usr/sbin/update-initramfs"

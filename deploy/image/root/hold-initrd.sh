# Runs on the controller before packages are set up: one initrd is enough, made when all is there (boot.sh).
set -eu
mkdir -p "$1/usr/sbin"
dpkg-divert --root="$1" --quiet --local --rename --divert /usr/sbin/update-initramfs.real --add /usr/sbin/update-initramfs
printf '#!/bin/sh\n' > "$1/usr/sbin/update-initramfs"
chmod 755 "$1/usr/sbin/update-initramfs"

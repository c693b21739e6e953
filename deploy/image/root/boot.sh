# Runs on the controller: makes the initrd and fills /boot/firmware, the boot partition, by the same hooks that do so when
# the board's kernel is upgraded. Only of kmod an initrd gets a copy, so that is the tree's own again; the other stand-ins
# do their work, which is most of it.
set -eu
if [ -e "$1/usr/bin/kmod.real" ]; then
    rm "$1/usr/bin/kmod"
    dpkg-divert --root="$1" --quiet --local --rename --remove /usr/bin/kmod
fi
rm "$1/usr/sbin/update-initramfs"
dpkg-divert --root="$1" --quiet --local --rename --remove /usr/sbin/update-initramfs
rm -f "$1/var/lib/dpkg/diversions-old"
mkdir -p "$1/boot/firmware"
version=$(basename "$1"/boot/vmlinuz-*)
chroot "$1" update-initramfs -c -k "${version#vmlinuz-}"

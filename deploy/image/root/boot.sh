# Runs on the controller: fills /boot/firmware, the boot partition, by the same hooks that fill it when the board's kernel
# is upgraded. INITRD is yes where the kernel has no driver of the card built in. Only of kmod an initrd gets a copy, so
# that is the tree's own again; the other stand-ins do their work, which is most of it.
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
version=${version#vmlinuz-}
if [ "$INITRD" = yes ]; then
    chroot "$1" update-initramfs -c -k "$version"
else
    chroot "$1" env DEB_MAINT_PARAMS="'configure'" run-parts --verbose --exit-on-error \
        --arg="$version" --arg="/boot/vmlinuz-$version" --regex '^zz-boardllama-boot$' /etc/kernel/postinst.d
fi

#!/bin/sh
# Makes a fresh Debian or Ubuntu controller ready. Nothing is installed when all is there.
#   setup.sh packages             the Debian packages that build and run the VM
#   setup.sh venv FOLDER [LOCK]   a Python environment: the versions and hashes of requirements.lock, or of that file
set -eu

# command or file that must be there : package that brings it : what it is for
NEEDED='
qemu-system-aarch64:qemu-system-arm:runs the arm64 virtual machine
qemu-img:qemu-utils:makes its disk
/usr/share/AAVMF/AAVMF_CODE.fd:qemu-efi-aarch64:starts an image in it as firmware starts a disk
qemu-aarch64-static:qemu-user-static:runs what was cross-compiled, and the packages of the arm64 root tree
/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1:libc6-arm64-cross:the C library that cross-compiled programs load here
mmdebstrap:mmdebstrap:makes the root tree of the virtual machine
/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring:proves the packages in that tree
newuidmap:uidmap:lets an ordinary user make that tree
mount:mount:registers the emulator with the kernel
bwrap:bubblewrap:runs commands inside the root tree of an image, apart from this machine
ssh:openssh-client:reaches the virtual machine
ccache:ccache:makes a second build take a minute
aria2c:aria2:gives models to boards that share them
git:git:fetches llama.cpp when llama_source is git
mke2fs:e2fsprogs:makes and reads the file systems of images
systemctl:systemd:names mounts, and says whether something runs here
curl:curl:asks servers, in the tests
sfdisk:fdisk:shows what would be lost with a disk
mcopy:mtools:puts a name and keys into the identity partition of a card
mkfs.vfat:dosfstools:makes such a partition, in the tests
bmaptool:bmap-tools:maps the blocks of an image, and is what flashing is measured against
zstd:zstd:unpacks an image for bmaptool
nbdkit-python:nbdkit-plugin-python:stands for cards that fail, in the tests
nbdfuse:libnbd-bin:stands for cards that fail, in the tests
fusermount3:fuse3:stands for cards that fail, in the tests
apt-ftparchive:apt-utils:indexes the packages of a channel that boards pull from
gpg:gpg:signs that index
gpg-agent:gpg-agent:keeps the key while gpg signs, which Debian 13 only recommends with gpg
rsync:rsync:copies a channel to its web server
haproxy:haproxy:judges what gateways are to serve with, in the tests
ensurepip:python3-venv:makes the Python environment
'

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

has() {
    case "$1" in
        ensurepip) python3 -c 'import ensurepip' 2>/dev/null ;;
        nbdkit-python) nbdkit --dump-plugin python >/dev/null 2>&1 ;;
        /*) test -e "$1" ;;
        *) command -v "$1" >/dev/null || test -x "/usr/sbin/$1" ;;
    esac
}

install_missing() {
    missing=''
    while IFS=: read -r what package why; do
        if [ -z "$what" ] || has "$what"; then continue; fi
        if [ "$(uname -m)" = aarch64 ] && [ "$package" = libc6-arm64-cross ]; then continue; fi
        echo "setup: $package is missing: $why" >&2
        missing="$missing $package"
    done <<EOF
$NEEDED
EOF
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || { echo "setup: install$missing with this system's package manager, run again" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || echo "setup: sudo apt-get install$missing" >&2
    # A third party's repository that does not answer must not stop us: what counts is that the install succeeds.
    as_root apt-get update -q >/dev/null || echo "setup: apt-get update had errors, going on" >&2
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
}

make_venv() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        { echo "setup: $(python3 --version) is too old: Python 3.10 or newer is needed" >&2; exit 1; }
    python3 -c 'import ensurepip' 2>/dev/null || install_missing
    [ -x "$1/bin/pip" ] || python3 -m venv --clear "$1"
    echo "setup: installing the Python packages of $2, about half a minute" >&2
    "$1/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$2"
}

case "${1:-}" in
    packages) install_missing ;;
    venv) make_venv "$2" "${3:-requirements.lock}" ;;
    *) sed -n '2,4p' "$0" >&2; exit 2 ;;
esac

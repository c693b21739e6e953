# Runs in the tree of each likeness, before its vendor.sh: what only a first boot may make is taken out, as vendors do.
set -eu
export PATH=/usr/sbin:/usr/bin
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/dpkg/*-old
rm -rf /var/lib/apt/lists/* /var/cache/apt/*
: > /etc/machine-id
units=/etc/systemd/system
want() { mkdir -p "$units/$1.wants"; ln -sfn "${3:-/usr/lib/systemd/system}/$2" "$units/$1.wants/$2"; }
# Each of these costs seconds under emulation, and no test asks for what they do.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer sshd-keygen.service; do
    ln -sfn /dev/null "$units/$unit"
done
kernel=$(readlink -f /boot/vmlinuz-*)
initrd=$(readlink -f /boot/initrd.img-*)

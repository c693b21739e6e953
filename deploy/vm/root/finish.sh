# Runs on the controller, on the finished tree in $1: what only a first boot may make is taken out, and what costs
# boot time without being of use in a VM is switched off.
set -eu
tree=$1
units=$tree/etc/systemd/system

rm -f "$tree"/etc/ssh/ssh_host_*
: > "$tree/etc/machine-id"
rm -f "$tree/var/lib/dbus/machine-id" "$tree/var/lib/systemd/random-seed"
: > "$tree/etc/resolv.conf"

want() { mkdir -p "$units/$1.wants"; ln -sfn "$2" "$units/$1.wants/${2##*/}"; }
want multi-user.target /usr/lib/systemd/system/systemd-networkd.service
want sockets.target /usr/lib/systemd/system/systemd-networkd.socket
want sockets.target /etc/systemd/system/boardllama-front-door.socket
want ssh.service /etc/systemd/system/sshd-keygen.service
rm -rf "$units"/sshd.service.wants "$units"/sshd@.service.wants "$units"/ssh.socket.wants "$units"/getty.target.wants

# Each of these starts a process of half a second under emulation, or two, and nothing here needs what it does. There
# is no login session and no power button, so no logind; the random seed comes from QEMU; there is no fstab.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer systemd-tmpfiles-clean.timer \
    serial-getty@ttyAMA0.service getty@tty1.service getty-static.service systemd-logind.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path sshd-unix-local.socket \
    systemd-hwdb-update.service systemd-update-done.service ldconfig.service systemd-journal-catalog-update.service \
    systemd-firstboot.service systemd-pstore.service systemd-sysusers.service systemd-modules-load.service \
    systemd-random-seed.service systemd-remount-fs.service systemd-hibernate-clear.service \
    systemd-networkd-persistent-storage.service systemd-udev-load-credentials.service kmod-static-nodes.service \
    systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service modprobe@.service \
    proc-sys-fs-binfmt_misc.automount systemd-binfmt.service remote-fs.target run-lock.mount dev-hugepages.mount \
    dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount; do
    ln -sfn /dev/null "$units/$unit"
done

# Nothing of what these look for is there, and each is one more process before the first unit starts.
mkdir -p "$tree/etc/systemd/system-generators"
for kind in getty gpt-auto hibernate-resume rc-local run ssh system-update sysv tpm2; do
    ln -sfn /dev/null "$tree/etc/systemd/system-generators/systemd-$kind-generator"
done

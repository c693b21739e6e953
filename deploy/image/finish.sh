# Runs on the controller, on the unpacked tree in $1, when the files of common/ and files/ are in it.
set -eu
tree=$1
units=$tree/etc/systemd/system

# Only a first boot may make these.
rm -f "$tree"/etc/ssh/ssh_host_*
: > "$tree/etc/machine-id"
rm -f "$tree/var/lib/dbus/machine-id" "$tree/var/lib/systemd/random-seed"

# apt gives both to its user at each update; whose they are until then depends on who made the tree.
chown 42:0 "$tree/var/lib/apt/lists/partial" "$tree/var/cache/apt/archives/partial"

# mmdebstrap's default list is where a board takes its updates; the maker's own mirror is nothing that a board may reach.
[ -z "${BOARDLLAMA_MIRROR:-}" ] || rm -f "$tree/etc/apt/sources.list"
ln -sfn ../run/systemd/resolve/stub-resolv.conf "$tree/etc/resolv.conf"

# What an appliance without a screen has no use for; nobody has a password to log in on a console with. Each is a
# process of half a second under emulation, or two.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer getty-static.service \
    getty@tty1.service systemd-ask-password-console.path systemd-ask-password-wall.path sshd-unix-local.socket \
    systemd-hwdb-update.service systemd-update-done.service ldconfig.service systemd-journal-catalog-update.service \
    systemd-pstore.service systemd-hibernate-clear.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    serial-getty@.service dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount systemd-sysext.socket wpa_supplicant.service; do
    ln -sfn /dev/null "$units/$unit"
done
mkdir -p "$tree/etc/systemd/system-generators"
for kind in getty gpt-auto hibernate-resume rc-local run system-update sysv tpm2; do
    ln -sfn /dev/null "$tree/etc/systemd/system-generators/systemd-$kind-generator"
done

# A board's first process, in namespaces of its own: mounts its disk, then becomes systemd.
#
# NAME, TREE (the tree that boards share), FOLDER (this board's files), KEY (the controller's public key); ROOM: of its
# disk; MODELS: "yes" gives models a disk of their own, without such a limit; MACHINE: x86_64 says what is true.
set -eu

root=$FOLDER/root
mkdir -p "$FOLDER/disk" "$root" "$FOLDER/log" "$FOLDER/models/ollama" "$FOLDER/models/llm"
mount -t tmpfs -o "size=$ROOM" "$NAME" "$FOLDER/disk"
mkdir "$FOLDER/disk/upper" "$FOLDER/disk/work"
mount -t overlay -o "lowerdir=$TREE,upperdir=$FOLDER/disk/upper,workdir=$FOLDER/disk/work" overlay "$root"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o size=64m,mode=755 tmpfs "$root/run"
mount -t tmpfs -o size=64m tmpfs "$root/tmp"
mount -t tmpfs -o size=1m,mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o size=8m tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${number%:*}" "$root/dev/${number#*:}"; done

if [ "$MACHINE" = aarch64 ]; then
    mount --bind "$root/etc/fleet/cpuinfo" "$root/proc/cpuinfo"
else
    mount --bind "$root/usr/bin/uname.real" "$root/usr/bin/uname"
fi
if [ "$MODELS" = yes ]; then
    mkdir -p "$root/var/lib/ollama" "$root/var/lib/llm"
    mount --bind "$FOLDER/models/ollama" "$root/var/lib/ollama"
    mount --bind "$FOLDER/models/llm" "$root/var/lib/llm"
fi
mkdir -p "$root/var/log/fleet" "$root/root/.ssh"
mount --bind "$FOLDER/log" "$root/var/log/fleet"
cp "$KEY" "$root/root/.ssh/authorized_keys"
chmod 700 "$root/root/.ssh"
chmod 600 "$root/root/.ssh/authorized_keys"
echo "$NAME" >"$root/etc/hostname"
hostname "$NAME"

cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
cd /
exec env -i container=fleet PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target </dev/null >/var/log/fleet/boot.log 2>&1

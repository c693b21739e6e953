# Loads the files of a gateway, which come as a tar on standard input: see gateway_files.py.
# Arguments: the folders of configuration and programs, the record of haproxy.cfg, the hash of all files, the lock of
# whoever changes them, and the hash of the table of boards that the new files go by.
set -eu
config=$1 programs=$2 record=$3 digest=$4 lock=$5 seen=$6
new=$config.new old=$config.old
mkdir -p "$(dirname "$lock")" # haproxy's workers must reach the sockets in it
umask 077

# A deploy that was cut between two renames, or whose files haproxy could not start with, is taken back.
take_back() {
    for folder in "$config" "$programs"; do
        if test -d "$folder.old"; then rm -rf "$folder"; mv -T "$folder.old" "$folder"; fi
    done
}

# A master that reloads keeps the arguments and the sandbox that it was started with, maybe before it was a gateway's.
is_ours() {
    test "$(systemctl show -P NeedDaemonReload haproxy.service)" != yes &&
        tr '\0' '\n' <"/proc/$(systemctl show -P MainPID haproxy.service)/cmdline" | grep -qxF "$config"
}

restart() {
    if is_ours 2>/dev/null; then way=reload-or-restart; else way=restart; fi
    # "set -e" does not hold where a function is a condition.
    systemctl daemon-reload &&
        systemctl enable --quiet haproxy.service boardllama-keeper.service &&
        systemctl $way haproxy.service &&
        systemctl restart boardllama-keeper.service
}

exec 9>>"$lock"
if ! flock -w 300 9; then
    echo "another deploy has been changing the gateway's files for 300 s: run again" >&2
    exit 5
fi
take_back
if test "$(cat "$config/boards.json" 2>/dev/null | sha256sum | cut -c -64)" != "$seen"; then
    echo "boards have changed meanwhile: run again" >&2
    exit 6
fi
rm -rf "$new" "$programs.new"
mkdir -p "$new" "$config" "$programs"
tar -x -C "$new" --no-same-owner --no-same-permissions # so umask holds: a certificate comes with its key
cd "$new"
# Keys of boards that this run did not ask stay as the gateway has them.
touch "$config/boards.map"
# What an authority gave stays; until it has given anything, what was served before.
for served in "$config/certificate.pem" "$config/acme.pem"; do
    if test -e configs/acme.pem && test -e "$served"; then cp "$served" configs/acme.pem; fi
done
cat keys "$config/boards.map" | awk 'NR == FNR { wanted[$1]; next } $1 in wanted && !($1 in seen) { seen[$1]; print }' \
    labels - >configs/boards.map
if ! haproxy -c -C "$new/configs" -f haproxy.cfg; then
    cd /
    rm -rf "$new"
    exit 3
fi >&2
mkdir -p "$(dirname "$record")"
cp deployed "$record.new"
sync -f .
mv -T programs "$programs.new"
mv -T "$config" "$old"
mv -T configs "$config"
mv -T "$programs" "$programs.old"
mv -T "$programs.new" "$programs"
cd /
if ! restart >&2; then
    journalctl -u haproxy.service -n 20 -o cat --no-pager >&2 || :
    take_back
    restart >&2 || :
    exit 4
fi
mv -T "$record.new" "$record"
echo "$digest" >"$config/loaded"
sync -f "$config"
# Renamed first: half of an old folder must never be taken back.
mv -T "$old" "$new/old"
mv -T "$programs.old" "$programs.new"
rm -rf "$new" "$programs.new"

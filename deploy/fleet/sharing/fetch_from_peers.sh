# On a target: has aria2 fetch a file from other boards, and give it to them until it is stopped, or a quarter of an hour.
#
# part: where the file arrives; told: bytes of the torrent, which comes on standard input; tracker: its address; unit: a
# name; limit: bytes a second, 0 for all. Says "alive" now and then, "liar ADDRESS" of each peer whose data was not what
# the torrent says, and "fetched" at the end; any other line is why it gave up, and nothing is left there then.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
exec 2>&1
part=$1 told=$2 tracker=$3 unit=$4 limit=$5
state=/run/$unit

give_up() {
    systemctl stop "$unit.service" 2>/dev/null || :
    # The unit has done so at its end, if it began.
    test ! -e "$state/installed" || xargs apt-get purge -qq -y <"$state/installed" >/dev/null 2>&1 || :
    rm -rf -- "$part" "$part.aria2" "$state"
    printf '%s\n' "$1"
    exit 1
}

packages() { dpkg-query -W -f '${binary:Package}\n' | sort; }

# What is installed for this alone is removed afterwards, and nothing else: apt thinks that old kernels can go, too.
install_aria2() {
    packages >"$state/before"
    get="apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -qq"
    $get install -y --no-install-recommends aria2 >/dev/null 2>&1 || {
        $get update >/dev/null 2>&1 || :
        $get install -y --no-install-recommends aria2 >/dev/null 2>&1 || give_up "aria2 cannot be installed there"
    }
    packages | comm -13 "$state/before" - >"$state/installed"
}

test -d /run/systemd/system || give_up "no systemd runs there"
systemctl stop "$unit.service" 2>/dev/null || :
rm -rf -- "$part" "$part.aria2" "$state"
mkdir -p -- "$state"
dd bs=64K iflag=fullblock,count_bytes count="$told" status=none >"$state/torrent"
command -v aria2c >/dev/null || install_aria2

# aria2 names the peer of each message, and with a piece that is wrong only the number of the peer's connection.
cat >"$state/run" <<'END'
aria2c "$@" 2>&1 | awk '$6 == "From:" {peer[$4] = $7} /we got wrong piece/ {print peer[$4]; fflush()}' >>liars
END
# When all has come, aria2 calls a program with three words, the second of which is 1: `touch` makes a file of that name.
systemd-run --quiet --collect --unit="$unit" --property=WorkingDirectory="$state" --property=Nice=10 \
    --property=ProtectSystem=strict --property="ReadWritePaths=$state ${part%/*}" --property=ProtectHome=yes \
    --property=NoNewPrivileges=yes --property=CapabilityBoundingSet= --property=RestrictAddressFamilies="AF_INET AF_UNIX" \
    --property=ExecStopPost="+/bin/sh -c 'test ! -e $state/installed || xargs apt-get purge -qq -y <$state/installed; rm -rf $state'" \
    --property=TimeoutStopSec=15min \
    /bin/sh "$state/run" --dir="${part%/*}" --index-out=1="${part##*/}" --bt-tracker="$tracker" --bt-tracker-interval=10 \
    --enable-dht=false --bt-enable-lpd=false --enable-peer-exchange=false --listen-port=6881-6999 --file-allocation=none \
    --seed-time=15 --seed-ratio=0 --bt-stop-timeout=120 --max-overall-upload-limit="$limit" --no-conf \
    --max-overall-download-limit="$limit" --on-bt-download-complete=/usr/bin/touch --console-log-level=info \
    --enable-color=false --show-console-readout=false --summary-interval=0 "$state/torrent" ||
    give_up "aria2 cannot be started there"

seconds=0
until test -e "$state/1"; do
    sleep 1
    seconds=$((seconds + 1))
    test $((seconds % 5)) != 0 || systemctl is-active --quiet "$unit.service" || give_up "nothing came for two minutes"
    test $((seconds % 10)) != 0 || echo alive
done
sort -u "$state/liars" | sed 's/^/liar /'
rm -f -- "$part.aria2"
echo fetched

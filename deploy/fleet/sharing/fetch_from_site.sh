# On a target: fetches a file from a web server. part: where it arrives; address; limit: bytes a second, 0 for all.
#
# Says "alive" now and then and "fetched" at the end; any other line is why it gave up, and nothing is left there then.
set -eu
export LC_ALL=C
exec 2>&1
part=$1 address=$2 limit=$3

while sleep 10 >/dev/null 2>&1; do echo alive; done &
trap 'kill $! 2>/dev/null' EXIT

# What lies there is the beginning of the file: it is gone on with.
said=$(curl -fsS --location --connect-timeout 10 --speed-limit 1000 --speed-time 60 --retry 2 --limit-rate "$limit" \
    --continue-at - --output "$part" -- "$address" 2>&1) || {
    rm -f -- "$part"
    printf '%s\n' "$said"
    exit 1
}
echo fetched

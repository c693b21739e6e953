# On a target: brings files from standard input to their places, in one step each, one file after the other.
#
# Eight arguments for each: its place, where it arrives, where its receipt lies, the format with which `stat` prints the
# receipt, sha256, bytes, mode, owner. What it says, a line each:
#   room ARRIVED FREE  it waits for the number of the byte to go on from, and for the bytes from there to the end; bytes
#   checking           it reads a large file
#   alive              every ten seconds
#   damaged            what arrived is not the file, and is gone
#   stored             it is in its place, durably
# and whatever its tools complain about. It ends when it cannot go on, with a status that is not 0.
set -eu
export LC_ALL=C
umask 022
exec 2>&1

while sleep 10 >/dev/null 2>&1; do echo alive; done &
trap 'kill $! 2>/dev/null' EXIT

# Where on the way to the folder systemd is to mount a disk, and none is mounted: what came now would lie hidden below it.
bare() {
    at=$(readlink -m -- "$folder")
    while test -n "$at" && ! mountpoint -q -- "$at"; do
        set -- "$@" "$at"
        at=${at%/*}
    done
    units=$(systemd-escape --path --suffix=mount -- "$@" 2>/dev/null) || return 0
    for state in $(systemctl show --property=LoadState --value -- $units 2>/dev/null); do
        test "$state" != loaded || echo "$1"
        shift
    done
}

# Whether that file is the one. Not `sha256sum --check`: in its lists a backslash in a name is more than one.
is_whole() {
    test "$(stat -c %s -- "$1" 2>/dev/null)" = "$size" || return 1
    test "$size" -lt 100000000 || echo checking
    test "$(sha256sum <"$1")" = "$sha256  -"
}

# So many bytes, and not one more: the next file's follow.
take() {
    dd bs=128K iflag=fullblock,count_bytes count="$1" status=none
}

# A full disk must not stay full of our half file; after any other cut it is what the next run continues.
give_up() {
    case $1 in *space* | *quota*) rm -f -- "$part" ;; esac
    printf '%s\n' "$1"
    exit 1
}

# Asks for what is missing until it is there.
arrive() {
    while :; do
        for old in "$folder"/."${dest##*/}".*.part; do
            test "$old" = "$part" || rm -f -- "$old"
        done
        echo "room $(stat -c %s -- "$part" 2>/dev/null || echo 0) $(df -Pk -- "$folder" | awk 'END {print $4}')"
        read -r offset
        test "$offset" != 0 || (umask 077 && : >"$part")
        said=$(take "$((size - offset))" 2>&1 >>"$part" && sync -- "$part" 2>&1) || give_up "$said"
        test "$(stat -c %s -- "$part")" -ge "$size" || exit 1
        ! is_whole "$part" || return 0
        rm -f -- "$part"
        echo damaged
    done
}

# Gives a whole file its name, durably, and then its receipt.
settle() {
    chmod -- "$mode" "$1"
    chown -- "$owner" "$1"
    sync -- "$1"
    test "$1" = "$dest" || mv -T -- "$1" "$dest"
    sync -- "$folder"
    stat -c "$proof" -- "$dest" >"$receipt.new"
    mv -T -- "$receipt.new" "$receipt"
}

while test $# -gt 0; do
    dest=$1 part=$2 receipt=$3 proof=$4 sha256=$5 size=$6 mode=$7 owner=$8
    folder=${dest%/*}
    shift 8
    empty=$(bare)
    test -z "$empty" || give_up "nothing is mounted on $empty, where a disk is to be: plug it in or mount it, run again"
    mkdir -p -- "$folder"
    if is_whole "$dest"; then
        rm -f -- "$part"
        settle "$dest"
    else
        arrive
        settle "$part"
    fi
    echo stored
done

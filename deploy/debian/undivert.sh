# Takes out what divert.sh put into the tree in $1.
set -eu
for program in $NATIVE; do
    rm "$1/usr/bin/$program"
    dpkg-divert --root="$1" --quiet --local --rename --remove "/usr/bin/$program"
done
rm -rf "$1/usr/lib/native" "$1/usr/lib/$TRIPLET" "$1/usr/lib64" "$1/lib64"
rm -f "$1/var/lib/dpkg/diversions-old"

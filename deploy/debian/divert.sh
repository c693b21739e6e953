# Runs on the controller when the essential packages lie unpacked in $1, before any of them is set up. Installing is
# mostly shell, Perl and dpkg-deb; under emulation that is three quarters of the time. So the controller's own builds
# of those programs, from the same release, stand in for them until the tree is complete. Their output is the same.
set -eu
for program in $NATIVE; do
    dpkg-divert --root="$1" --quiet --local --rename --divert "/usr/bin/$program.real" --add "/usr/bin/$program"
    cp "$1/usr/lib/native/$program" "$1/usr/bin/$program"
done

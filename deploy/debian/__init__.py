"""Root trees of Debian for arm64, made on a controller of any architecture: no mount is left, and no emulator."""

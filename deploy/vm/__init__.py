"""The QEMU arm64 machine: its root tree, its life, its command line (`python -m deploy.vm`)."""

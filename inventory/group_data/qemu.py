"""The QEMU arm64 machine, of `make vm` and of `make image BOARD=qemu`: half a megabyte of model, for trying."""

model = "smoke"

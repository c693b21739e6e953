"""Raspberry Pi 5: four Cortex-A76."""

cpu = "cortex-a76"

"""Raspberry Pi 4: four Cortex-A72."""

cpu = "cortex-a72"

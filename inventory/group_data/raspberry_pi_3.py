"""Raspberry Pi 3: four Cortex-A53."""

cpu = "cortex-a53"

"""RockPro64: two Cortex-A72 and four Cortex-A53. Work stays on the two fast cores."""

cpu = "cortex-a53"
threads = 2

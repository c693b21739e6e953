"""RockPro64: two Cortex-A72 and four Cortex-A53. Work stays on the two fast cores, as on every board of two kinds."""

cpu = "cortex-a72"

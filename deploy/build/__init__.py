"""llama.cpp for one Cpu: a pinned source, compiled on a builder, proven before anything uses it."""

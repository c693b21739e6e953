"""`make tune` on the board: which cores, threads and build are fastest here, and what the memory allows."""

"""Many boards in one run: their connections, who waits for whom, and the table at the end."""

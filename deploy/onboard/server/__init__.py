"""llama-server on the target: its configuration, its start, its watcher, and whether it is healthy."""

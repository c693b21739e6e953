"""`make recordings`: real runs of commands in a terminal, as moving pictures for docs/recordings."""

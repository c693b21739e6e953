"""How a stage reaches a host: commands, facts, files that survive a cut, the lock, the release, what it is told."""

"""How a stage reaches a host."""

"""How much memory a model takes while it is served, and whether a board has that much."""

"""Boards that pull: a signed apt repository with the releases of each kind of board, and the boards that look at it."""

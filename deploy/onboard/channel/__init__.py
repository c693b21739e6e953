"""A board that pulls its releases: what a channel offers, whether it is this board's turn, and what became of it."""

"""`make tune`: has boards measure what is fastest on them, and writes it into the group data of their kind."""

"""One address for the models of all boards: haproxy, rendered from the inventory, and boards out of it for a deploy."""

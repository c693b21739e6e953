"""The front: one address before several servers. A request's `model`, or its path, says which of them answers."""

"""The models that a setting calls by a name, and which of them suits a board."""

"""The connection to a board over SSH: made, kept alive, and explained when it fails."""

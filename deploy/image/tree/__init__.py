"""pyinfra's way into a root tree: `@tree/PATH`."""

"""Models on the controller: fetched from a hub, proven, read; and the smoke model that tests use."""

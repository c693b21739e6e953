"""A vendor's image becomes an appliance: its own root file system is edited in place, the rest stays as it is."""

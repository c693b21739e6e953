"""`make bases`: appliances of vendors' images, each likeness flashed and booted."""

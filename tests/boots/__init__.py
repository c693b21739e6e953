"""`make boots`: the image of `efi` on every kind of disk, with few processors and many, with little memory and much."""

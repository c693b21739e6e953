"""Images: the same deploy, into a root tree, and the tree onto a disk."""

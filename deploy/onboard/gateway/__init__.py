"""What runs on a gateway beside haproxy: it takes boards out of the rotation for a deploy, and those without tokens."""

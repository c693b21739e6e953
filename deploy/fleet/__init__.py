"""What concerns many boards at once."""

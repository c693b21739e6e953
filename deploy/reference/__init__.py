"""What docs/ say of the code's own tables, written by the code."""

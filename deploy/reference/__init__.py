"""`make docs`: the parts of docs/ that are made from the code's own tables and imports."""

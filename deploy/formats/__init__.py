"""The files that one room writes and another reads: each has its reader and its writer in one module."""

"""Strangers' bytes that nobody meant: whatever reads them returns, or raises the error that it documents."""

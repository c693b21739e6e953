"""Releases on the target: what there is, the switch to another, and the gate that judges it."""

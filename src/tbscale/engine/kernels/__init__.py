"""Compiled loops with the reference's own arithmetic: follow, seeds, flow check, fill."""

"""Measured variants beside each other: speed by quality by cost, at the same traffic and the same targets."""

"""Batched queries in, one sample for each pod out."""

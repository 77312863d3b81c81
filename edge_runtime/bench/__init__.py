"""Measurements of a model on this board."""

"""Variants of a model side by side on this board, the choice among them, and what to try on which hardware."""

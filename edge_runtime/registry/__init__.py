"""The registry of public models: what there is, where from, and what was pulled: ``edge-runtime models``."""

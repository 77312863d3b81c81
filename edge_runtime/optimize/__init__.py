"""Variants of a float model: quantised, pruned, clustered, each compared with its parent. Extra ``[optimize]``.

`edge_runtime.optimize.run.optimize` is the one call; the other modules do a step each. Nothing is imported here: a
board that runs models needs none of it.
"""

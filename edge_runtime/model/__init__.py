"""What a model file needs to run: read from the file and from what lies beside it, never guessed.

`spec.resolve_spec` is the one call the pipeline needs; the other modules read one place each.
"""

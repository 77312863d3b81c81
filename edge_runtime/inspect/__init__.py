"""What a model file is and what it costs, told without running it where that can be: ``edge-runtime inspect``."""

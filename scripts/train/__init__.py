"""How the bundled model comes about: drawn scenes, a small network, and the loop that trains it."""

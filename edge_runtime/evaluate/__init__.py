"""Accuracy of a model on pictures with known truth, by the code that also runs it in production."""

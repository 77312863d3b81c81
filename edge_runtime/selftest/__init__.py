"""The self-test: the model, the colours, the picture's orientation and the speed, compared with what is known."""

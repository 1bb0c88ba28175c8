"""A small convolutional network in plain NumPy, normalized by fastnorm.nn; examples/train_digits.py trains it."""

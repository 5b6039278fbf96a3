"""Language models behind one contract, and the cache of their answers."""

"""TABLES -> TENSORS: vocabularies, columns, pairs, statistics, and the steps made of them. Knows no network."""

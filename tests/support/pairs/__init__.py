"""Pairs of models drawn at random, and what `create-migration` writes from one to the other."""

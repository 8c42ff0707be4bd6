"""Experiments: a matrix of runs from one recipe, carried out as one job. No torch, no screens."""

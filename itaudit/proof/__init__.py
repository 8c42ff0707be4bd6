"""Proofs: is an instance really the cause of a span? What is asked, how it is planned, and what the results say.

The models that it takes are run by `engine/`; everything here is plain Python over files of the run directory.
"""

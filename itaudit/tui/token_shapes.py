"""The text style of each class of tokens, which tells it where colours do not."""

TOKEN_SHAPES = {
    "unshifted": "none",
    "marginal": "underline",
    "shifted": "reverse",
    "hallucinated": "bold",
    "cursor": "bold reverse underline",
    "evidence": "bold underline",
}
"""By the names of the themes' token variables. Hallucinated tokens are followed by a mark as well."""

"""Small datasets for tests of tracing."""

from itaudit.data.instance import Instance


def made(*responses: str) -> list[Instance]:
    """Instances with these responses, and instructions and row numbers that tell them apart."""
    return [Instance(10 + number, f"i{number}", "", "", text) for number, text in enumerate(responses)]

"""The five aspects of an answer's quality that people and judges rate from 1 to 5, as in Ghosh et al. 2024."""

from types import MappingProxyType
from typing import Literal, get_args

Aspect = Literal["helpfulness", "clarity", "factuality", "depth", "engagement"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)

ASKED = MappingProxyType[Aspect, str](
    {
        "helpfulness": "does it do what was asked, and address what the asker needs?",
        "clarity": "is it well organised, easy to follow and free of needless repetition?",
        "factuality": "is what it says true, and free of what is made up?",
        "depth": "does it go into the matter as far as the question deserves?",
        "engagement": "is it natural and pleasant to read, as from somebody who cares?",
    }
)
"""What each aspect asks of an answer, in a line."""

LOWEST, HIGHEST = 1, 5

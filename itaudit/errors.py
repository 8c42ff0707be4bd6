"""The one error type that a user may see."""

from itaudit.sanitize import visible_line


class UserError(Exception):
    """One line that names the file, row or key, what was expected and what to do.

    The command line prints it on stderr and exits with `code`: 1 for a task that failed, 2 for wrong use.
    """

    def __init__(self, message: str, *, code: int = 1) -> None:
        # File names and rows are hostile text too.
        super().__init__(visible_line(message))
        self.code = code

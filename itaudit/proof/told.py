"""`python -m itaudit.proof.told RUN`: every proof of a run with its verdicts, one JSON object a line.

Statistics take longer to import than a key of a screen may take, so that screens have this process tell them.
"""

import signal
import sys
from pathlib import Path

from itaudit.data.child import say
from itaudit.errors import UserError
from itaudit.proof.jobs import document, proofs
from itaudit.runs.run import Run


def main() -> int:
    # Whoever started it and went away wants it to end, quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        for proof in proofs(Run(Path(sys.argv[1]))):
            say({"proof": document(proof), "progress": proof.progress()})
        say({"done": True})
    except UserError as error:
        say({"problem": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

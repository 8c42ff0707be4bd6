"""The workbench, a front end of Textual's."""

import os

# Textual paints at most this often, 60 times a second unless told: half of that wait is a tenth of what a key may take.
os.environ.setdefault("TEXTUAL_FPS", "120")

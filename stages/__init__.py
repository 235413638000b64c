"""The stages of dvc.yaml, one script each, named as the stage.

A queued experiment runs a snapshot of the repository: its own `src` comes first, before an editable install.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported, which a script may do at its top

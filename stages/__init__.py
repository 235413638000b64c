"""The stages of dvc.yaml, one script each, named as the stage.

A queued experiment runs a snapshot of the repository: its own `src` comes first, before an editable install.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from difflab.runtime import quiet

if quiet():
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars too; read when tqdm is imported

"""The stages of dvc.yaml, one script each, named as the stage.

A queued experiment runs a snapshot of the repository: its own `src` comes first, before an editable install.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

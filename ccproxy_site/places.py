"""Where this installation keeps its settings and its data.

In a clone, which has manage.py, both are in the project's folder: `.env` and `data`. An installed package has
no folder of its own, so both are in the platform's folder for data of applications (on Linux
~/.local/share/ccproxy).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

PROJECT_DIR: Final = Path(__file__).resolve().parent.parent
IS_CLONE: Final = (PROJECT_DIR / "manage.py").is_file()
HOME_DIR: Final = PROJECT_DIR if IS_CLONE else platformdirs.user_data_path("ccproxy", appauthor=False)
ENV_FILE: Final = Path(os.environ.get("CCPROXY_ENV_FILE") or HOME_DIR / ".env")
DEFAULT_DATA_DIR: Final = HOME_DIR / "data"

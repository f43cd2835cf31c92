"""``python -m watchdog.xids FILE``: write the document of the catalogue; without FILE to stdout."""

import sys
from pathlib import Path

from watchdog.xids.document import document

if len(sys.argv) > 1:
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
else:
    sys.stdout.write(document())

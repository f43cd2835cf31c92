"""``python -m watchdog.exporter``: docs/metrics.md on stdout."""

import sys

from watchdog.exporter.document import document

sys.stdout.write(document())

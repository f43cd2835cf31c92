"""``python -m fryer`` is the ``fryer`` command."""

from fryer.main import main

main()

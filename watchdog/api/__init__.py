"""HTTP over the daemon: JSON on a unix socket, on TCP only with a token and TLS.

    bytes ─▶ connections (slow heads, too many) ─▶ guard (rate, token, body) ─▶ posted (pydantic) ─▶ Service
    bytes ◀─ documents (pydantic) ◀─ State, rows, incidents ◀─ Service

Pydantic models live at this edge only; the daemon sees frozen dataclasses. Nothing here judges, reads hardware or opens
the store: `watchdog.service.Service` is all that it knows.
"""

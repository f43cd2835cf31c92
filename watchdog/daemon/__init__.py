"""The loop of `fryer watch`: it owns time, threads and order, and judges nothing itself.

pacer     collectors, each in a thread of its own, with period and deadline
buffers   the last minutes of every metric in memory, as detectors want them
runs      what training runs said, as state and rows
core      rows and events ─▶ detectors ─▶ incidents ─▶ policy ─▶ one published State
loop      asyncio: pacer, core, writer, API, alerts, systemd
"""

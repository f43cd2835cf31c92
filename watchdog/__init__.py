"""The node: what we read of it, how we judge it, what we tell others.

    collectors  read (NVML, host)         never judge
    simulator   a scenario in place of the hardware, at the boundary of the C functions
    store       keeps qualifications for ever, in SQLite
    vocabulary  the words that every package shares; standard library only

Another distribution on PyPI is called ``watchdog`` too; `fryer.main` refuses to start when that one is imported.
"""

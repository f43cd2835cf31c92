"""Find the weak GPU and the slow link before the job does.

cli        arguments                      -> plan        which burns, how long, on what: pure and printable
runner     one process a device           -> records     what the burns measured
telemetry  NVML and host while they run   -> readings
evidence   both together                  -> verdict     judges, pure, one failure mode a file
outputs    live view, table, NDJSON, HTML
"""

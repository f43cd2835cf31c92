"""Hardware and its faults over time from one scenario file, in place of the real hardware.

scenario      the file, checked whole
model         what a GPU of that scenario shows at a moment: pure
identity      who the GPUs are
event_sets    Xids as they are delivered
field_values  the batched read of NVML, its numbers and units
library       the C functions of NVML over that model, so that real pynvml code runs on it
scenarios/    ready ones, each with the verdict it must lead to
"""

"""Outputs of other tools, read and judged: nccl-tests, dcgmi diag, nvidia-smi -q, nvbandwidth, gpu-fryer.

A parser makes `Facts` of a text, a judge makes conclusions of `Facts`; both are pure, and `formats.FORMATS` lists them.
Only `reading` touches files. A format is recognised by what a file holds and never by its name. What is cut off, empty,
failed or unknown is an ERROR with one sentence that says what is missing, and never a pass.
"""

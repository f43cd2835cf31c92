"""Files that people give and that are not judged here: what each is, and where it belongs. Pure."""

_HINTS = (
    ("| NVIDIA-SMI ", "it is nvidia-smi's table, which has too little to judge by: give nvidia-smi -q"),
    ("# TYPE DCGM_FI", "it is the metrics of a DCGM exporter, which fryer watch reads as they come"),
    ("NVRM: Xid", "it is a kernel log: fryer scan --kmsg FILE judges it"),
    ('"schema": "fryer/', "it is Fryer's own output, which has its verdict in its last line"),
    ("Gflops/s (min:", "it is gpu-fryer's text: give that of gpu-fryer --json"),
    ("gpuburn", "it is gpu-burn's output, which has no figure that can be judged: run fryer run --burns gemm"),
)
"""What the file holds, and the sentence. The first that fits is said."""
_HEAD = 200_000


def hint(text: str) -> str | None:
    """The sentence for a file of a known kind that is not read; None for an unknown one."""
    head = text[:_HEAD]
    return next((sentence for sign, sentence in _HINTS if sign in head), None)

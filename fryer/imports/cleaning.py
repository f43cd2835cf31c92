"""Takes off a text what terminals and launchers put around it: colours, carriage returns, rank labels. Pure."""

import re

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LABEL = re.compile(r"^(?:\[\d+,\d+\]<std(?:out|err)>:? ?|\s{0,6}\d{1,6}: )")
"""Labels of ``mpirun --tag-output`` and of ``srun --label``."""
_LABELLED_RATIO = 0.8
"""Share of lines that must carry a label for it to be one: the lines of no format here start like it."""


def cleaned(text: str) -> str:
    """`text` with ``\\n`` line ends, without a byte order mark, colours and a launcher's labels."""
    plain = text.removeprefix("\ufeff")
    if "\x1b" in plain:
        plain = _ESCAPES.sub("", plain)
    if "\r" in plain:
        plain = "\n".join(line.rpartition("\r")[2] if "\r" in line else line for line in _unix(plain).split("\n"))
    return _without_labels(plain)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _without_labels(text: str) -> str:
    lines = text.split("\n")
    full = [line for line in lines if line.strip()]
    if not full or not _LABEL.match(full[0]):
        return text
    if sum(1 for line in full if _LABEL.match(line)) < _LABELLED_RATIO * len(full):
        return text
    return "\n".join(_LABEL.sub("", line) for line in lines)

"""What a training says of itself, once: to its metrics.jsonl, the node's daemon, TensorBoard and whoever looks on.

`record` has the words and `phases` the clock of a step's parts. `fan` hands records to the sinks that `open` chose:
`jsonl`, `daemon`, `tensorboard`, `progress` (with `sentences`). `past` reads what was said before.
"""

"""Training with Megatron-core that can be stopped, moved and resumed to the bit, and that acts on the watchdog's word.

A `Plan` (trainer.plan) says what is trained. `trainer.data` gives the samples of each step, a pure function of the
plan; `trainer.model` builds model and optimizer from Megatron-core; `trainer.checkpoints` keeps and finds states;
`trainer.loop` goes through the steps. Only `trainer.device` knows on which device that happens, and only
`watchdog.client` is asked about hardware.
"""

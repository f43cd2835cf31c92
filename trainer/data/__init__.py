"""From documents to the samples of a step. The order is a pure function of (plan, stage, sample index).

`prepare` turns text into Megatron's indexed datasets (`corpus`: which files, `tokens`: which ids, `indexed`: the
format); `epoch` cuts one source into sequences; `mixture` and `order` say which sequence of which source a sample is;
`stage_data` reads samples; `loader` gives a rank its micro-batches of a step; `digest` names a batch.

`indexed`, `prepare`, `epoch`, `stage_data` and `loader` import Megatron-core: load them after `trainer.device.open`.
"""

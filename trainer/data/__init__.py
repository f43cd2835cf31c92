"""From documents to the samples of a step. The order is a pure function of (plan, stage, sample index).

`order` and `mixture` say which sequence of which source a sample is; `prepare` turns text into Megatron's indexed
datasets; `stage_data` reads samples; `loader` gives a rank its micro-batches of a step; `digest` names a batch.
"""

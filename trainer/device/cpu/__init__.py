"""What Megatron-core needs to train on processors: a view of torch whose ``cuda`` is the processor, and little else.

Megatron-core 0.16.1 assumes CUDA in names, devices and generators, without a switch; the code itself needs none of it.
`view` gives its modules, and only them, another torch; `generators` makes its tracker swap the processor's generator;
`tensors` patches two methods of Tensor, the only change that others could see. Nothing of it is loaded on CUDA.
"""

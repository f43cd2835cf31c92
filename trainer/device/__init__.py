"""The one place that knows on which device training runs. Megatron-core is imported after `prepare`, never before.

On CUDA it does nothing to Megatron. Without it, `cpu` gives Megatron's modules a view of torch whose ``cuda`` is the
processor (see its docstring for what and why).
"""

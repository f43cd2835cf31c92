"""Megatron-core training that survives its machines. Nothing here yet: see plans/roadmap.md."""

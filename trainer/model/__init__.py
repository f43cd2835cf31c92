"""GPTModel, optimizer and one step over them, from Megatron-core, with attention and norm of our own where Transformer
Engine is missing."""

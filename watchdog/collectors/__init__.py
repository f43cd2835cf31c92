"""Readers of the machine: one source a file. They read and never judge."""

"""Collectives over ranks of one or many nodes: what is measured, how it is counted, and how it is shown.

`cases` are words and `busbw` formulas, both pure; the engine that runs them imports torch: only workers load it.
"""

"""Judges of a training run, one failure mode a file: streaming, pure, with a small state that a checkpoint can carry.

    Point, Mark ──▶ SeriesWatch ──▶ TrainingFinding          RankPoint ──▶ RankWatch ──▶ TrainingFinding

They read no clock, no file and no environment: the same points give the same findings, in the trainer's step, in the
daemon, and in a replay of an old log. They see one point at a time and keep a bounded window, so that a run of any
length costs the same a step.
"""

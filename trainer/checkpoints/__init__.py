"""States of a training, kept in three tiers: in memory, on the node, and durable. None is believed unseen.

`manifest` and `states` say what a checkpoint is, `durable`, `local` and `memory` write and read the tiers, `find` picks
the one to resume from and says why the others were passed over, `retention` picks those to delete.
"""

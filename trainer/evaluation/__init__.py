"""How well a model does on documents that it never sees: `held_out` by loss, `external` by a command of the user."""

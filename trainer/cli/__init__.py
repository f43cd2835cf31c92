"""Commands of the trainer; each module is loaded only when its command is called."""

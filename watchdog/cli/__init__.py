"""The subcommands of this package, one a file. They import what is heavy only when they are called."""

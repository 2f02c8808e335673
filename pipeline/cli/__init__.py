"""The `fathom` command: options, exit codes, what goes to the terminal, and the commands themselves."""

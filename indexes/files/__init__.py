"""Files and folders that others may have made: opened by descriptor, without following links, one writer at a time."""

"""The console script `fathom`: loads the commands and runs one, and can be interrupted from its first moment on."""

import sys

from .surroundings import settle


def main() -> None:
    """Entry point of the console script; other rooms add commands in the group `fathom.commands`."""
    settle()  # before anything is imported that the working folder could put itself in the place of
    from .errors import ExitCode

    try:
        from importlib.metadata import entry_points

        from .cli.app import app

        for entry in entry_points(group="fathom.commands"):
            entry.load()(app)
        app(prog_name="fathom")
    except KeyboardInterrupt:  # before a command began; those that run tell what they keep
        sys.stderr.write("fathom: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()

"""The console script: thin, so that Ctrl-C is heard in an orderly way while the command line is still being loaded."""

import os


def main() -> None:
    """Run the command line; 130 when it is interrupted before that can hear of it."""
    try:
        from loadflame.cli import main as command_line  # noqa: PLC0415  what takes its time must be inside
    except KeyboardInterrupt:
        os._exit(130)  # nothing has begun; see `loadflame.stopping` for why an orderly end would not give this code
    command_line()


if __name__ == "__main__":
    main()

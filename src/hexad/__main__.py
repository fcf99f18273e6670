"""``python -m hexad`` and the ``hexad`` command."""

import os
import sys

from hexad.cli import main as run


def main() -> int:
    """Run the command line and return its exit status."""
    status = run()
    if os.environ.get("WORLD_SIZE", "1") != "1":
        # the threads by which processes talk may abort while the interpreter takes them down: all is written, so go
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    raise SystemExit(main())

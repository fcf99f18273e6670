"""``python -m hexad`` and the ``hexad`` command."""

from hexad.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""The ``waybill`` command in a checkout: ``python cli.py --help`` lists the commands."""

import sys

from infra.commands.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())

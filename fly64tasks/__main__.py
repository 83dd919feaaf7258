"""`python -m fly64tasks`."""

import sys

from fly64tasks.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m fly64tasks"))

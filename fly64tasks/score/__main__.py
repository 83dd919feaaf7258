"""`python -m fly64tasks.score`."""

import sys

from fly64tasks.score.command import main

if __name__ == "__main__":
    sys.exit(main())

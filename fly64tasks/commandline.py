"""The parser of our command lines: what it quotes in its errors steers no terminal."""

from __future__ import annotations

import argparse
from typing import NoReturn

from fly64tasks.doitext.errors import printable


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose own errors would print any byte of an argument as it is."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2, once the message is one line."""
        super().error(printable(message))

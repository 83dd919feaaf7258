"""What our command lines share: one line for each failure, and none that steers a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from fly64tasks.doitext.errors import printable
from fly64tasks.errors import Fly64Error, machine_error


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose own errors would print any byte of an argument as it is."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2, once the message is one line."""
        super().error(printable(message))


def exit_code_of(command: Callable[[], int]) -> int:
    """Return what a command returns; where it fails, say why in one line and return that code."""
    try:
        return command()
    except (Fly64Error, OSError, MemoryError) as error:
        ours = error if isinstance(error, Fly64Error) else machine_error(error)
        print(f"error: {ours}", file=sys.stderr)
        return ours.exit_code
    except KeyboardInterrupt as stopped:
        print(f"error: {stopped or 'interrupted'}", file=sys.stderr)
        return getattr(stopped, "exit_code", 130)

"""What our command lines share: help that fits a screen, and one line for each failure."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from fly64tasks.doitext.errors import printable, reader_gone
from fly64tasks.errors import Fly64Error, machine_error


class HelpFormatter(argparse.HelpFormatter):
    """argparse's, with room for long options, none broken at its hyphens; it keeps line ends."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, **{"max_help_position": 28, **kwargs})

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            textwrap.fill(
                line, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
            for line in text.splitlines()
        )


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose own errors would print any byte of an argument as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": HelpFormatter, **kwargs})

    def error(self, message: str) -> NoReturn:
        """Exit with 2, once the message is one line."""
        super().error(printable(message))


def exit_code_of(command: Callable[[], int]) -> int:
    """Return what a command returns; where it fails, say why in one line and return that code."""
    try:
        code = command()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return reader_gone()
    except (Fly64Error, OSError, MemoryError) as error:
        ours = error if isinstance(error, Fly64Error) else machine_error(error)
        print(f"error: {ours}", file=sys.stderr)
        return ours.exit_code
    except KeyboardInterrupt as stopped:
        print(f"error: {stopped or 'interrupted'}", file=sys.stderr)
        return getattr(stopped, "exit_code", 130)

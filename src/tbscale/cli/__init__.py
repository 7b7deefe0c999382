"""The command line: `tbscale info | data | segment | report | profile | record | book`.

One module for each group of commands. Heavy imports happen inside the commands, so that
`tbscale --help` answers at once.
"""

from __future__ import annotations

import logging
import sys

import typer

from tbscale.cli import commands
from tbscale.errors import TbscaleError

INTERRUPTED = 130  # what shells give for a process that ended by ctrl-C

app = typer.Typer(
    name="tbscale",
    help="Exact out-of-core Cellpose, and what each of its steps costs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _root() -> None:
    """Keep the commands named even while there is only one."""


commands.register(app)


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("cellpose").setLevel(logging.WARNING)  # speaks of paths and devices
    try:
        status = app(standalone_mode=False)
    except (TbscaleError, typer.TyperException) as error:
        typer.echo(f"tbscale: {sentence(error)}", err=True)
        raise SystemExit(2) from None
    except PermissionError as error:
        name = error.filename or "a file"
        typer.echo(f"tbscale: no permission for {name}; choose a place to write to", err=True)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        typer.echo("tbscale: interrupted", err=True)
    raise SystemExit(status if isinstance(status, int) else 0)


def sentence(error: Exception) -> str:
    """What an error says, in one line; of a wrong option, which one."""
    format_message = getattr(error, "format_message", None)
    text = str(error) if format_message is None else format_message()
    return " ".join(text.split())

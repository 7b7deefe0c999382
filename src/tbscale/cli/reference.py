"""The commands with their options as a page of the book, from the command line itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from tbscale.book.markdown import cell, code, table, text
from tbscale.book.readme import between

PAGE = Path("notebooks/cli.md")
BEGIN = "<!-- commands: written by `make readme` from the command line itself, do not edit -->"
END = "<!-- /commands -->"


def with_commands(page: str, app: typer.Typer) -> str:
    """The page with every command between its markers."""
    return between(page, BEGIN, END, commands_markdown(app), PAGE.name)


def commands_markdown(app: typer.Typer) -> str:
    """Every command: how it is called, what it does, its arguments and options."""
    found = walk("tbscale", get_command(app))
    return "\n\n".join(part for path, command in found for part in show(path, command))


def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below a group, by name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in sorted(inner):
        yield from walk(f"{path} {name}", inner[name])


def show(path: str, command: Any) -> list[str]:
    """Heading, text, and what it takes."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    words = [path, *(shown_argument(one) for one in arguments), "[OPTIONS]"]
    parts = [f"## `{path}`", f"```text\n{' '.join(words)}\n```"]
    if command.help:
        parts.append(inspect.cleandoc(command.help))
    rows = [
        [code(shown_name(one)), cell(one.help or ""), shown_default(one)] for one in command.params
    ]
    if rows:
        parts.append(table([text("takes"), text("meaning"), text("default")], rows))
    return parts


def shown_argument(argument: Any) -> str:
    """An argument in a line of usage."""
    name = (argument.metavar or argument.name.upper()).strip("{}")
    return name if argument.required else f"[{name}]"


def shown_name(parameter: Any) -> str:
    """An argument's name, or an option with what follows it."""
    if parameter.param_type_name == "argument":
        return shown_argument(parameter).strip("[]")
    names = ", ".join(parameter.opts)
    if parameter.is_flag:
        return "/".join([names, *parameter.secondary_opts])
    return f"{names} {parameter.metavar or parameter.name.upper()}"


def shown_default(parameter: Any) -> str:
    """The value without the option; nothing where it is required, a flag, or decided later."""
    default = getattr(parameter, "default", None)
    is_flag = getattr(parameter, "is_flag", False)
    if parameter.required or is_flag or default is None or callable(default):
        return "required" if parameter.required else ""
    return code(default)


def update_page(repository: Path, app: typer.Typer, write: bool) -> bool:
    """Bring the page up to date with the command line; return whether it was not."""
    path = repository / PAGE
    present = path.read_text(encoding="utf-8")
    wanted = with_commands(present, app)
    if write and wanted != present:
        path.write_text(wanted, encoding="utf-8")
    return wanted != present

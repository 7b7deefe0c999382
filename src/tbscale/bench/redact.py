"""Take what is private out of a record: home folders, user names, host names, paths.

Everything else is public: CPU, memory, versions, and the file name of an image.
"""

from __future__ import annotations

import getpass
import platform
import re
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = "~"
HOST = "HOST"
USER = "USER"
FOLDER = "PATH"
# names that many machines share and that say nothing, and ones that are words of their own
PUBLIC_NAMES = frozenset({"", "localhost", "root", "user", "runner", "ubuntu", "main", "home"})
HOMES = re.compile(r"(?:/home|/Users)/[^/\s\"',:;]+|[A-Za-z]:\\Users\\[^\\\s\"',:;]+|/root\b")
ABSOLUTE = re.compile(r"(?<![\w.:/~>-])/(?:[^/\s\"',:;=]+/)+")
OUTSIDE = re.compile(r"(?<![\w./~-])(?:\.\./)+(?:[^/\s\"',:;=]+/)*")


@dataclass(frozen=True)
class Privacy:
    """What is private here: the home folder, and names to take out wherever they stand."""

    home: str
    users: tuple[str, ...]
    hosts: tuple[str, ...]

    @classmethod
    def of_this_machine(cls) -> Privacy:
        """The home folder, user and host names of this process."""
        hosts = {socket.gethostname(), platform.node()}
        hosts |= {name.partition(".")[0] for name in hosts}
        return cls(
            home=str(Path.home()),
            users=_private([_user()]),
            hosts=_private(sorted(hosts, key=len, reverse=True)),
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this user id, as in some containers
        return ""


def _private(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name.lower() not in PUBLIC_NAMES and len(name) > 1)


def redact_text(text: str, privacy: Privacy) -> str:
    """Home folders become `~`, host names `HOST`, user names `USER`.

    >>> redact_text("/home/ada/x.tif on babbage", Privacy("/home/ada", ("ada",), ("babbage",)))
    '~/x.tif on HOST'
    """
    if len(privacy.home) > 1:
        text = re.sub(rf"{re.escape(privacy.home)}(?=[/\\\s\"',:;]|$)", HOME, text)
    text = HOMES.sub(HOME, text)
    for names, stands_for in ((privacy.hosts, HOST), (privacy.users, USER)):
        for name in names:
            text = re.sub(rf"(?<![\w]){re.escape(name)}(?![\w])", stands_for, text)
    return text


def redact_command(command: list[str], privacy: Privacy, root: Path | None = None) -> str:
    """A command line to publish: paths in the clone relative, others by their last part.

    >>> nobody = Privacy("/home/ada", (), ())
    >>> redact_command(["tbscale", "profile", "/srv/study 7/a.tif"], nobody)
    'tbscale profile PATH/a.tif'
    """
    return redact_text(" ".join(_word(word, root) for word in command), privacy)


def _word(word: str, root: Path | None) -> str:
    named = word.startswith("--") and "=" in word
    option, equals, value = word.partition("=") if named else ("", "", word)
    path = Path(value)
    if path.is_absolute() or ".." in path.parts:
        inside = root is not None and path.is_relative_to(root)
        value = str(path.relative_to(root)) if inside and root else f"{FOLDER}/{path.name}"
    return option + equals + shlex.quote(value)


def redact_paths(text: str) -> str:
    """Folders of absolute paths, and of ones that leave the present folder, become `PATH`.

    >>> redact_paths("cannot read /srv/x/a.tif, see https://x.org/a/b")
    'cannot read PATH/a.tif, see https://x.org/a/b'
    """
    return OUTSIDE.sub(f"{FOLDER}/", ABSOLUTE.sub(f"{FOLDER}/", text))


def redact_document(document: Mapping[str, Any], privacy: Privacy) -> dict[str, Any]:
    """Every text of a record, at any depth, redacted; hashes and numbers are left alone."""
    return {key: _redact(value, privacy) for key, value in document.items()}


def _redact(value: Any, privacy: Privacy) -> Any:
    if isinstance(value, str):
        return redact_paths(redact_text(value, privacy))
    if isinstance(value, Mapping):
        return {_redact(key, privacy): _redact(one, privacy) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(one, privacy) for one in value]
    return value


@dataclass(frozen=True)
class Finding:
    """A text of a record that redaction would change."""

    where: str
    found: str
    becomes: str


def find_private(document: Mapping[str, Any], privacy: Privacy) -> list[Finding]:
    """Every text that still holds something private, with its place in the document."""
    findings: list[Finding] = []

    def visit(value: Any, where: str) -> None:
        if isinstance(value, Mapping):
            for key, one in value.items():
                note(str(key), f"{where}.{key}")
                visit(one, f"{where}.{key}" if where else str(key))
        elif isinstance(value, list | tuple):
            for index, one in enumerate(value):
                visit(one, f"{where}[{index}]")
        elif isinstance(value, str):
            note(value, where)

    def note(text: str, where: str) -> None:
        if (becomes := _redact(text, privacy)) != text:
            findings.append(Finding(where, text, becomes))

    visit(document, "")
    return findings

"""The profile notebook as a papermill template: find it, check parameters, execute it."""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tbscale import errors
from tbscale.bench.records import record_files
from tbscale.bench.redact import Privacy, redact_paths, redact_text
from tbscale.bench.software import repository_root
from tbscale.errors import RunError

logger = logging.getLogger(__name__)
Json = dict[str, Any]

NAME = "notebooks/profile.ipynb"
MAX_BYTES = 1_000_000  # of an executed notebook
MAX_SOCKET_BYTES = 90  # of a socket's path: the least limit of a system is 103, less "-" and a port


def find_template() -> Path:
    """The notebook of the clone that this package runs from, or of the present folder.

    Raises
    ------
    RunError : the package was installed without the notebooks
    """
    roots = [root for root in (repository_root(), Path.cwd()) if root is not None]
    for root in roots:
        if (root / NAME).is_file():
            return root / NAME
    raise RunError(
        f"{NAME} is not installed with the package; run this in a clone of the repository, "
        "or give its path by --notebook"
    )


def known_parameters(template: Path) -> dict[str, str]:
    """Every parameter of a notebook with its default, as papermill reads them."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.WARNING)  # it names the notebook each time
    with warnings.catch_warnings(), _ended_like_by_hand():
        warnings.simplefilter("ignore")  # of papermill's own dependencies
        found = papermill.inspect_notebook(str(template))
    return {name: str(one["default"]) for name, one in found.items()}


def check_parameters(template: Path, parameters: Mapping[str, object]) -> None:
    """Refuse parameters that the notebook does not have; papermill would only warn.

    Raises
    ------
    RunError : names the unknown ones and those there are
    """
    known = known_parameters(template)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise RunError(
            f"{template.name} has no parameter {', '.join(unknown)}; choose from "
            f"{', '.join(sorted(known))}"
        )


def execute(template: Path, parameters: Mapping[str, object], out: Path) -> tuple[Path, Path]:
    """Run the notebook with a progress bar; return the record and the executed notebook.

    The notebook writes one record under `out`; the executed notebook is put beside it.

    Raises
    ------
    RunError : unknown parameter, no folder can be made at `out`, a notebook that stopped or is
        too large
    """
    check_parameters(template, parameters)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{out} cannot be a folder of records ({error.strerror}); pass another --out"
        ) from error
    before = set(record_files(out))
    with tempfile.TemporaryDirectory(prefix="tbscale-") as scratch:
        executed = Path(scratch) / template.name
        _run(template, executed, parameters)
        record = _new_record(out, before)
        notebook = record.with_suffix(".ipynb")
        text = json.dumps(redact_notebook(json.loads(executed.read_text(encoding="utf-8"))))
    _write(notebook, text)
    return record, notebook


class _ProgressOnly(logging.Filter):
    """Of what papermill logs, the lines that the notebook itself wrote."""

    NOISE = ("Executing Cell", "Ending Cell", "<IPython.core", "Executing notebook with")

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = str(record.msg).strip()
        return bool(record.msg) and not record.msg.startswith(self.NOISE)


def _show_progress() -> None:
    log = logging.getLogger("papermill")
    log.setLevel(logging.INFO)
    log.filters[:] = [_ProgressOnly()]


@contextmanager
def _ended_like_by_hand() -> Iterator[None]:
    """While this lasts, SIGTERM ends the run as ctrl-C does: the kernel and its processes too.

    Otherwise a pass that lasts hours would go on alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only there may signals be handled
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _kernel_address(folder: Path) -> Json:
    """Where papermill and its kernel meet: at sockets in `folder`, which no network is needed for.

    On a machine without loopback, as in many containers, TCP would wait a minute and give up. TCP
    stays where a system has no such sockets, or the path is longer than theirs may be.
    """
    path = folder / "kernel"
    if os.name != "posix" or len(os.fsencode(path)) > MAX_SOCKET_BYTES:
        return {}
    return {"KernelManager": {"transport": "ipc", "ip": str(path)}}


def _run(template: Path, executed: Path, parameters: Mapping[str, object]) -> None:
    """Execute a notebook; `executed` lies in a folder that nothing else uses, absolute."""
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    _show_progress()
    with warnings.catch_warnings(), _ended_like_by_hand():
        warnings.simplefilter("ignore")
        try:
            papermill.execute_notebook(
                str(template),
                str(executed),
                parameters=dict(parameters),
                kernel_name="python3",
                log_output=True,
                progress_bar=True,
                cwd=str(Path.cwd()),
                config=Config(_kernel_address(executed.parent)),
            )
        except PapermillExecutionError as error:
            raise _as_own(error.ename, error.evalue, error.exec_count) from None


def _as_own(name: str, message: str, cell: int | None) -> errors.TbscaleError:
    """An error of ours that a cell raised, again; any other as a RunError."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.TbscaleError):
        return kind(message)
    return RunError(f"the notebook stopped in cell {cell} ({name}: {message}); report this")


def _new_record(out: Path, before: set[Path]) -> Path:
    found = sorted(set(record_files(out)) - before)
    if len(found) != 1:
        raise RunError(
            f"the notebook left {len(found)} new records in {out}, one was expected; "
            "let no other run write there"
        )
    return found[0]


def redact_notebook(notebook: Json) -> Json:
    """A notebook without private paths and names, and without papermill's notes of them."""
    privacy = Privacy.of_this_machine()
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        cell["metadata"].pop("papermill", None)
        cell["source"] = _clean(cell["source"], privacy)
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _clean(output["text"], privacy)
            for kind in ("text/plain", "text/markdown"):
                if kind in output.get("data", {}):
                    output["data"][kind] = _clean(output["data"][kind], privacy)
    return notebook


def _clean(text: str | list[str], privacy: Privacy) -> str:
    joined = text if isinstance(text, str) else "".join(text)
    return redact_paths(redact_text(joined, privacy))


def _write(path: Path, text: str) -> None:
    if len(text) > MAX_BYTES:
        raise RunError(
            f"the executed notebook has {len(text)} bytes, the limit is {MAX_BYTES}; "
            "pass show_pixels=never"
        )
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)

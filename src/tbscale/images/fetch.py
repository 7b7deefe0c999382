"""Fetch a dataset from Synapse with the user's own token: resumed, verified, never partial.

The bytes come through synapseclient, an optional extra. Its download with several threads starts
anew after a break; with one thread it continues, so that is the one used here. The file grows in
a hidden folder beside its final name and moves there once size and MD5 are what Synapse reports.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import logging
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

from tbscale.errors import DatasetError
from tbscale.images.datasets import Dataset

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
DOWNLOAD, VERIFY = "download", "verify"
POLL_S = 0.25
REACH_S = 10.0
_BLOCK = 1 << 22
_FOLDER_TYPE = "Folder"
# names in the class hierarchy of what synapseclient, requests and httpx raise
_TOKEN = {"SynapseAuthenticationError", "SynapseNoCredentialsError"}
_ACCESS = {"SynapseUnmetAccessRestrictions", "SynapseAuthorizationError"}
_DAMAGED = {"SynapseMd5MismatchError"}
_NETWORK = {"ConnectionError", "TimeoutError", "RequestException", "TransportError"}
_NETWORK |= {"SynapseTimeoutError", "SynapseHTTPError", "gaierror"}


class Client(Protocol):
    """The part of `synapseclient.Synapse` (4.x) that fetching needs."""

    multi_threaded: bool

    def getChildren(  # noqa: N802  the client's own name
        self,
        parent: str,
        includeTypes: list[str],  # noqa: N803
    ) -> Iterable[Mapping[str, Any]]:
        """What a folder holds: mappings with `id`, `name` and `type`."""

    def get(self, entity: str, **options: Any) -> Any:
        """A file by its id: a mapping with `path`, `fileSize` (bytes) and `md5`.

        Options: downloadFile, downloadLocation (a folder) and ifcollision.
        """


@dataclass(frozen=True)
class RemoteFile:
    """What Synapse says of a file."""

    id: str
    size_bytes: int
    md5: str


def fetch(
    data: Dataset, out: Path, client: Client | None = None, progress: Progress | None = None
) -> Path:
    """Bring a dataset's file to `out`; a broken download continues where it stopped.

    Parameters
    ----------
    out : final name; what is not yet complete lies in a hidden folder beside it
    client : logged in; by default made from synapseclient and the user's token
    progress : called with (DOWNLOAD or VERIFY, bytes done, bytes in all)

    Raises
    ------
    DatasetError : no package, token, network, permission or room; a file that differs from what
        Synapse reports; another file already at `out`
    """
    tell = progress or (lambda stage, done, total: None)
    with _told_in_one_sentence(data, out):
        client = client or connect()
        remote = find(client, data)
        if out.exists():
            return _keep_or_refuse(out, remote, tell)
        folder = partial_folder(out)
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, remote)
        part = _download(client, remote, folder, tell)
        _verify(part, remote, tell)
        part.replace(out)
        shutil.rmtree(folder)
    return out


def partial_folder(out: Path) -> Path:
    """Where an unfinished download waits to be continued."""
    return out.with_name(f".{out.name}.partial")


def connect() -> Client:
    """Log in to Synapse with SYNAPSE_AUTH_TOKEN or the user's .synapseConfig."""
    synapseclient = importlib.import_module("synapseclient")
    client = synapseclient.Synapse(silent=True, skip_checks=True)
    client.logger.addHandler(logging.NullHandler())  # else it prints tracebacks of its own
    _reach(client.repoEndpoint)
    client.login(silent=True)
    connected: Client = client
    return connected


def _reach(address: str) -> None:
    """Fail at once where there is no network; the client itself would retry for minutes."""
    url = urlsplit(address)
    if url.scheme in getproxies():
        return  # only the proxy may be reachable from here
    socket.create_connection((url.hostname or "", url.port or 443), REACH_S).close()


def find(client: Client, data: Dataset) -> RemoteFile:
    """Look a dataset's file up by name in its folder and the folders below.

    Raises
    ------
    DatasetError : no such file, or Synapse does not report its size and checksum
    """
    id_ = _find_id(client, data.synapse_folder, data.file)
    if id_ is None:
        raise DatasetError(
            f"{data.synapse_folder} on Synapse holds no file {data.file}; download it by hand from "
            f"{data.source}, or make the stand-in: tbscale data stand-in {data.name}"
        )
    entity = client.get(id_, downloadFile=False)
    if entity["fileSize"] is None or entity["md5"] is None:
        raise DatasetError(
            f"Synapse reports no size or checksum of {data.file} ({id_}), so your account may not "
            f"download it; open https://www.synapse.org/{id_} and request access"
        )
    return RemoteFile(id_, int(entity["fileSize"]), str(entity["md5"]))


def _find_id(client: Client, folder: str, name: str) -> str | None:
    waiting = [folder]
    while waiting:
        for child in client.getChildren(waiting.pop(0), includeTypes=["folder", "file"]):
            if str(child.get("type", "")).endswith(_FOLDER_TYPE):
                waiting.append(child["id"])
            elif child["name"] == name:
                return str(child["id"])
    return None


def _keep_or_refuse(out: Path, remote: RemoteFile, tell: Progress) -> Path:
    """A file that is already there and right stays; any other is not ours to replace."""
    same = out.is_file() and out.stat().st_size == remote.size_bytes
    if not same or _md5(out, tell) != remote.md5:
        raise DatasetError(f"{out} exists and is another file; remove it, or pass another --out")
    log.info("%s is already there and complete", out)
    return out


def _check_room(folder: Path, remote: RemoteFile) -> None:
    missing = remote.size_bytes - _bytes_in(folder)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise DatasetError(
            f"{missing / 1e9:.1f} GB are still to come and {folder.parent} has {free / 1e9:.1f} GB "
            "free; free some, or pass another --out"
        )


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _download(client: Client, remote: RemoteFile, folder: Path, tell: Progress) -> Path:
    """Download into a folder; whatever an earlier attempt left there is continued."""
    client.multi_threaded = False  # with several threads it would start anew after a break
    with _watched(folder, remote.size_bytes, tell):
        options = {"downloadLocation": str(folder), "ifcollision": "overwrite.local"}
        entity = client.get(remote.id, downloadFile=True, **options)
    if not entity["path"]:
        raise DatasetError(
            f"Synapse did not let {remote.id} be downloaded; open "
            f"https://www.synapse.org/{remote.id} and request access"
        )
    return Path(entity["path"])


@contextmanager
def _watched(folder: Path, total: int, tell: Progress) -> Iterator[None]:
    """Report how much lies in a folder while something else fills it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            tell(DOWNLOAD, min(_bytes_or_none(folder), total), total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        tell(DOWNLOAD, min(_bytes_or_none(folder), total), total)


def _bytes_or_none(folder: Path) -> int:
    """Bytes in a folder whose files may be renamed meanwhile."""
    try:
        return _bytes_in(folder)
    except FileNotFoundError:
        return 0


def _verify(part: Path, remote: RemoteFile, tell: Progress) -> None:
    """Compare size and MD5 with what Synapse reports; a file that differs is removed."""
    found = part.stat().st_size
    if found == remote.size_bytes and _md5(part, tell) == remote.md5:
        return
    part.unlink()
    raise DatasetError(
        f"the download of {remote.id} differs from what Synapse reports ({found} bytes for "
        f"{remote.size_bytes}, or another MD5) and was removed; run the same command again"
    )


def _md5(path: Path, tell: Progress) -> str:
    digest, done, total = hashlib.md5(usedforsecurity=False), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            tell(VERIFY, done, total)
    return digest.hexdigest()


@contextmanager
def _told_in_one_sentence(data: Dataset, out: Path) -> Iterator[None]:
    """Turn what package, token, network and disk refuse into one sentence and an offer."""
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:
        _explain(error, data, out)


def _explain(error: Exception, data: Dataset, out: Path) -> NoReturn:
    """Raise the sentence for a known error, and the error itself otherwise."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    offer = f"or make the stand-in: tbscale data stand-in {data.name}"
    if isinstance(error, ModuleNotFoundError) and error.name == "synapseclient":
        sentence = f"synapseclient is not installed; pip install 'tbscale[synapse]', {offer}"
    elif kinds & _TOKEN:
        sentence = (
            "Synapse knows no token of yours; make a free account and a personal access token on "
            f"synapse.org and set SYNAPSE_AUTH_TOKEN, {offer}"
        )
    elif kinds & _ACCESS:
        sentence = (
            f"your Synapse account may not download {data.file}; open "
            f"https://www.synapse.org/{data.synapse_folder} and request access, {offer}"
        )
    elif kinds & _DAMAGED:
        sentence = (
            f"the download of {data.file} arrived damaged (another MD5 than Synapse reports) and "
            "was removed; run the same command again"
        )
    elif kinds & _NETWORK:
        sentence = f"Synapse was not reached{_waiting(out)}; check the network, {offer}"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        sentence = f"no room is left for {out}; free some and run the same command, it continues"
    elif isinstance(error, OSError):
        sentence = f"cannot write {out}: {error.strerror or error}; pass another --out"
    else:
        raise error
    raise DatasetError(sentence) from error


def _waiting(out: Path) -> str:
    folder = partial_folder(out)
    have = _bytes_or_none(folder) if folder.is_dir() else 0
    return f" ({have / 1e6:.1f} MB are kept and the same command continues)" if have else ""

"""Fetching from Synapse, against a double of synapseclient's `Synapse`."""

import errno
import hashlib
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tbscale.errors import DatasetError
from tbscale.images import fetch as fetch_module
from tbscale.images.datasets import SYNAPSE_FOLDER, dataset
from tbscale.images.fetch import DOWNLOAD, VERIFY, connect, fetch, find, partial_folder

DATA = dataset("exemplar-001")
CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()
BLOCK = 100_000


class SynapseError(Exception):
    """Names as in synapseclient.core.exceptions; only the names are looked at."""


class SynapseNoCredentialsError(SynapseError):
    pass


class SynapseAuthorizationError(SynapseError):
    pass


class SynapseMd5MismatchError(SynapseError, OSError):
    pass


class RequestException(OSError):  # noqa: N818  the name in requests
    pass


class Double:
    """Serves CONTENT as `Synapse` does with one thread: it appends to NAME.synapse_download_ID."""

    def __init__(self, content: bytes = CONTENT, breaks_after: int | None = None) -> None:
        self.multi_threaded = True
        self.content = content
        self.breaks_after = breaks_after
        self.sent = 0
        self.options: dict[str, Any] = {}
        self.error: Exception | None = None
        self.facts: dict[str, Any] = {"fileSize": len(CONTENT), "md5": MD5, "path": None}

    def getChildren(  # noqa: N802
        self,
        parent: str,
        includeTypes: list[str],  # noqa: N803
    ) -> Iterator[dict[str, str]]:
        assert includeTypes == ["folder", "file"]
        kind = "org.sagebionetworks.repo.model."
        if parent == SYNAPSE_FOLDER:
            yield {"id": "syn1", "name": "other.ome.tif", "type": kind + "FileEntity"}
            yield {"id": "syn2", "name": "below", "type": kind + "Folder"}
        else:
            yield {"id": "syn3", "name": DATA.file, "type": kind + "FileEntity"}

    def get(self, entity: str, **options: Any) -> dict[str, Any]:
        assert entity == "syn3"
        if self.error is not None:
            raise self.error
        if not options["downloadFile"]:
            return self.facts
        self.options = options
        final = Path(options["downloadLocation"]) / DATA.file
        part = final.with_name(f"{final.name}.synapse_download_99")
        if self.multi_threaded:
            part.unlink(missing_ok=True)  # with several threads the client starts anew
        self._send(part)
        part.replace(final)
        return self.facts | {"path": str(final)}

    def _send(self, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        with part.open("ab") as file:
            for at in range(have, len(self.content), BLOCK):
                if self.breaks_after is not None and self.sent >= self.breaks_after:
                    raise RequestException("Connection reset by peer")
                file.write(self.content[at : at + BLOCK])
                self.sent += len(self.content[at : at + BLOCK])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / DATA.file


def test_a_file_is_found_in_folders_below_and_arrives_whole(out: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    client = Double()
    assert fetch(DATA, out, client, lambda *step: seen.append(step)) == out
    assert out.read_bytes() == CONTENT
    assert list(out.parent.iterdir()) == [out]
    assert client.options["ifcollision"] == "overwrite.local"
    assert (DOWNLOAD, len(CONTENT), len(CONTENT)) in seen
    assert (VERIFY, len(CONTENT), len(CONTENT)) in seen
    assert all(0 <= done <= total for _, done, total in seen)


def test_a_broken_download_is_kept_hidden_and_continued(out: Path) -> None:
    broken = Double(breaks_after=300_000)
    with pytest.raises(DatasetError, match=r"0\.3 MB are kept and the same command continues"):
        fetch(DATA, out, broken)
    assert not out.exists()
    assert partial_folder(out).is_dir()
    rest = Double()
    fetch(DATA, out, rest)
    assert rest.sent == len(CONTENT) - broken.sent
    assert out.read_bytes() == CONTENT
    assert not partial_folder(out).exists()


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"!"])
def test_a_file_that_differs_is_removed(out: Path, content: bytes) -> None:
    with pytest.raises(DatasetError, match="differs from what Synapse reports"):
        fetch(DATA, out, Double(content))
    assert not out.exists()
    assert not list(partial_folder(out).iterdir())
    fetch(DATA, out, Double())
    assert out.read_bytes() == CONTENT


def test_a_complete_file_is_not_fetched_again(out: Path) -> None:
    out.write_bytes(CONTENT)
    client = Double()
    assert fetch(DATA, out, client) == out
    assert client.sent == 0


def test_another_file_is_not_replaced(out: Path) -> None:
    out.write_bytes(b"mine")
    with pytest.raises(DatasetError, match="is another file"):
        fetch(DATA, out, Double())
    assert out.read_bytes() == b"mine"


def test_too_little_room_is_said_before_the_download(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = types.SimpleNamespace(free=1000)
    monkeypatch.setattr(fetch_module.shutil, "disk_usage", lambda folder: usage)
    client = Double()
    with pytest.raises(DatasetError, match=r"still to come and .* free"):
        fetch(DATA, out, client)
    assert client.sent == 0


SENTENCES = [
    (SynapseNoCredentialsError("no"), "set SYNAPSE_AUTH_TOKEN"),
    (SynapseAuthorizationError("no"), "request access"),
    (SynapseMd5MismatchError("no"), "arrived damaged"),
    (RequestException("no"), "Synapse was not reached"),
    (ConnectionError("no"), "Synapse was not reached"),
    (OSError(errno.ENOSPC, "No space left on device"), "no room is left"),
    (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; pass another --out"),
]


@pytest.mark.parametrize(("error", "sentence"), SENTENCES, ids=[s for _, s in SENTENCES])
def test_every_refusal_is_one_sentence(out: Path, error: Exception, sentence: str) -> None:
    client = Double()
    client.error = error
    with pytest.raises(DatasetError, match=sentence) as caught:
        fetch(DATA, out, client)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_what_is_not_foreseen_is_not_hidden(out: Path) -> None:
    client = Double()
    client.error = ZeroDivisionError("a mistake of ours")
    with pytest.raises(ZeroDivisionError):
        fetch(DATA, out, client)


def test_no_package(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "synapseclient", None)
    with pytest.raises(DatasetError, match=r"pip install 'tbscale\[synapse\]', or make the stand"):
        fetch(DATA, out)


def fake_package(login_error: Exception | None = None) -> types.ModuleType:
    class Synapse(Double):
        def __init__(self, silent: bool, skip_checks: bool) -> None:
            assert silent
            assert skip_checks
            self.repoEndpoint = "https://synapse.invalid/repo/v1"
            self.logger = logging.getLogger("synapseclient_silent")
            super().__init__()

        def login(self, silent: bool) -> None:
            assert silent
            if login_error is not None:
                raise login_error

    package = types.ModuleType("synapseclient")
    package.Synapse = Synapse  # type: ignore[attr-defined]
    return package


def test_the_users_token_is_left_to_the_client(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[str] = []
    monkeypatch.setattr(fetch_module, "_reach", reached.append)
    monkeypatch.setitem(sys.modules, "synapseclient", fake_package())
    fetch(DATA, out)
    assert out.read_bytes() == CONTENT
    assert reached == ["https://synapse.invalid/repo/v1"]


def test_no_token(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "_reach", lambda address: None)
    monkeypatch.setitem(sys.modules, "synapseclient", fake_package(SynapseNoCredentialsError("")))
    with pytest.raises(DatasetError, match=r"personal access token .* tbscale data stand-in"):
        fetch(DATA, out)


def test_no_network_is_said_at_once(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "getproxies", dict)
    monkeypatch.setitem(sys.modules, "synapseclient", fake_package(AssertionError("not reached")))
    with pytest.raises(DatasetError, match=r"was not reached; check the network, or make the st"):
        fetch(DATA, out)


def test_behind_a_proxy_the_client_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "getproxies", lambda: {"https": "http://proxy:3128"})
    fetch_module._reach("https://synapse.invalid/repo/v1")


def test_an_absent_file_is_named() -> None:
    class Empty(Double):
        def getChildren(  # noqa: N802
            self,
            parent: str,
            includeTypes: list[str],  # noqa: N803
        ) -> Iterator[dict[str, str]]:
            return iter(())

    with pytest.raises(DatasetError, match=r"syn26848688 on Synapse holds no file exemplar-001"):
        find(Empty(), DATA)


def test_a_file_without_checksum_is_refused() -> None:
    client = Double()
    client.facts["md5"] = None
    with pytest.raises(DatasetError, match=r"no size or checksum .*syn3"):
        find(client, DATA)


def test_the_real_client_has_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the extra is installed."""
    synapseclient = pytest.importorskip("synapseclient")
    client = synapseclient.Synapse(silent=True, skip_checks=True)
    assert client.multi_threaded is True
    for name in ("getChildren", "get", "login"):
        assert callable(getattr(client, name))
    entity = synapseclient.File("x", parent="syn1")
    assert entity["fileSize"] is None
    assert entity["md5"] is None
    monkeypatch.delenv("SYNAPSE_AUTH_TOKEN", raising=False)
    monkeypatch.setattr(fetch_module, "_reach", lambda address: None)
    monkeypatch.setattr(synapseclient.Synapse, "login", lambda self, silent: None)
    assert connect().multi_threaded is True

"""Headless Chromium over its debugging pipe: no driver, no further package.

Chromium reads JSON messages from file descriptor 3 and writes them to 4, each ended by a NUL.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

Json = dict[str, Any]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PHONE = (390, 844)
DESKTOP = (1280, 900)


def find_chromium() -> str | None:
    """The path of Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class Browser:
    """One tab. `logged` holds console errors and warnings, `asked` every address it loaded."""

    def __init__(self, executable: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-")
        to_chromium, self._write = os.pipe()
        self._read, from_chromium = os.pipe()
        command = [executable, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            preexec_fn=_as_3_and_4(to_chromium, from_chromium),
            close_fds=False,  # Python's own descriptors are not inheritable; 3 and 4 are
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_chromium)
        os.close(from_chromium)
        self._number, self._buffer = 0, b""
        self.logged: list[str] = []
        self.asked: list[str] = []
        self._session: str | None = None
        self._session = self._attach()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self._profile.name, ignore_errors=True)
        self._profile.cleanup()

    def send(self, method: str, **parameters: object) -> Json:
        """Send one command and wait for its answer, gathering events on the way."""
        self._number += 1
        message: Json = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        number = self._number
        answer = self._until(lambda got: got.get("id") == number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: Json = answer["result"]
        return result

    def resize(self, size: tuple[int, int], dark: bool = False) -> None:
        """Be a phone or a desktop, in light or dark."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=2 if size == PHONE else 1,
            mobile=size == PHONE,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Go to an address and wait until it has loaded and been quiet for a moment."""
        self.logged.clear()
        self.asked.clear()
        self.send("Page.navigate", url=address)
        self._until(lambda got: got.get("method") == "Page.loadEventFired")
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 10.0) -> None:
        """Wait until an expression is true. TimeoutError after `seconds`."""
        limit = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > limit:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.05)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _attach(self) -> str:
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        answer = self.send("Target.attachToTarget", targetId=page, flatten=True)
        return str(answer["sessionId"])

    def _until(self, wanted: Callable[[Json], bool], seconds: float = 30.0) -> Json:
        limit = time.monotonic() + seconds
        while True:
            while b"\0" in self._buffer:
                text, _, self._buffer = self._buffer.partition(b"\0")
                got: Json = json.loads(text)
                self._note(got)
                if wanted(got):
                    return got
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise TimeoutError("Chromium did not answer")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium ended")
            self._buffer += piece

    def _note(self, got: Json) -> None:
        method, params = got.get("method"), got.get("params", {})
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.logged.append(" ".join(str(arg.get("value")) for arg in params["args"]))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.logged.append(str(details.get("exception", details).get("description", details)))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            entry = params["entry"]
            self.logged.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])


def _as_3_and_4(read: int, write: int) -> Callable[[], None]:
    """A function for the child: put the two ends where Chromium looks for them."""

    def arrange() -> None:
        high = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (read, write)]
        for fd, target in zip(high, (3, 4), strict=True):
            os.dup2(fd, target)
            os.close(fd)

    return arrange

"""OME-Zarr that cannot be read is refused in one sentence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr_stores import noise, write_store

from tbscale.errors import ImageError
from tbscale.images.open import open_image, open_plane

ALL = slice(None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "image.ome.zarr"


def edit(store: Path, change: Any) -> None:
    """Change the OME metadata of a Zarr 3 group."""
    file = store / "zarr.json"
    document = json.loads(file.read_text())
    change(document["attributes"]["ome"])
    file.write_text(json.dumps(document))


def broken() -> Iterator[Any]:
    """(words of the error, change of the metadata)."""
    yield "without multiscales", lambda ome: ome.pop("multiscales")
    yield "cannot be opened", lambda ome: ome.update(multiscales=[])
    yield "cannot be opened", lambda ome: ome["multiscales"][0].pop("datasets")
    yield "and 0 arrays", lambda ome: ome["multiscales"][0].update(datasets=[])
    yield "not there", lambda ome: ome["multiscales"][0]["datasets"][0].update(path="absent")
    yield "2 axes", lambda ome: ome["multiscales"][0]["axes"].pop(0)
    yield "end in y and x", lambda ome: ome["multiscales"][0]["axes"].reverse()
    yield "plate", lambda ome: (ome.pop("multiscales"), ome.update(plate={}))
    yield "list of label images", lambda ome: (ome.pop("multiscales"), ome.update(labels=["a"]))


@pytest.mark.parametrize(("words", "change"), list(broken()))
def test_broken_metadata_is_refused(store: Path, words: str, change: Any) -> None:
    write_store(store, noise(2, 20, 20))
    edit(store, change)
    with pytest.raises(ImageError, match=words) as caught:
        open_image(store)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"zarr_format": 9}', "null"])
def test_broken_json_is_refused(store: Path, content: str) -> None:
    write_store(store, noise(2, 20, 20))
    (store / "zarr.json").write_text(content)
    with pytest.raises(ImageError, match=r"image\.ome\.zarr"):
        open_image(store)


def test_a_directory_that_is_no_zarr_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="directory and no OME-Zarr"):
        open_image(tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_is_refused(store: Path, zarr_format: int) -> None:
    write_store(store, noise(2, 20, 20), zarr_format=zarr_format)
    with pytest.raises(ImageError, match="pass the group"):
        open_image(store / "s0")


def test_text_is_refused(store: Path) -> None:
    write_store(store, noise(2, 20, 20).astype("S2"), zarr_format=2)
    with pytest.raises(ImageError, match="no pixels"):
        open_image(store)


def test_complex_values_are_refused(store: Path) -> None:
    write_store(store, noise(2, 20, 20, dtype="complex64"))
    with open_image(store) as image, pytest.raises(ImageError, match="complex64"):
        image.plane(0)


def test_a_damaged_chunk_is_refused(store: Path) -> None:
    pixels = noise(2, 20, 20)
    write_store(store, pixels)
    (store / "s0" / "c" / "1" / "0" / "0").write_bytes(b"spoilt")
    assert np.array_equal(open_plane(store, 0).read(ALL, ALL), pixels[0])
    with pytest.raises(ImageError, match="cannot be read"):
        open_plane(store, 1).read(ALL, ALL)


def test_a_level_with_other_channels_is_left_out(store: Path) -> None:
    write_store(store, noise(3, 40, 40))
    group = zarr.open_group(store, mode="a")
    del group["s1"]
    group.create_array("s1", shape=(2, 20, 20), dtype="uint16")
    with open_image(store) as image:
        assert len(image.levels) == 1
        assert any("left out" in note for note in image.notes)

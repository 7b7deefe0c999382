"""OME-XML: what it says, and who is believed where it contradicts the pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from tbscale.errors import ImageError
from tbscale.images.image import Image
from tbscale.images.omexml import parse_ome
from tbscale.images.open import open_image

ALL = slice(None)
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def ome_xml(
    names: list[str | None],
    y: int = 12,
    x: int = 10,
    z: int = 1,
    t: int = 1,
    order: str = "XYCZT",
    kind: str = "uint16",
    samples: int = 1,
    data: str = '<TiffData IFD="0" PlaneCount="{n}"/>',
    size: str = 'PhysicalSizeX="0.5" PhysicalSizeY="0.65"',
) -> str:
    channels = "".join(
        f'<Channel ID="Channel:0:{i}" SamplesPerPixel="{samples}"'
        + ("/>" if name is None else f' Name="{name}"/>')
        for i, name in enumerate(names)
    )
    n = len(names) * z * t
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="{kind}" SizeX="{x}" SizeY="{y}" '
        f'SizeZ="{z}" SizeC="{len(names) * samples}" SizeT="{t}" {size}>'
        f"{channels}{data.format(n=n)}</Pixels></Image></OME>"
    )


OPENED: list[Image] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def open_with(path: Path, xml: str, pixels: np.ndarray, **options: Any) -> Image:
    """A file with these pages under this description."""
    options = {"photometric": "minisblack", "metadata": None} | options
    tifffile.imwrite(path, pixels, description=xml.encode(), **options)
    OPENED.append(open_image(path))
    return OPENED[-1]


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def test_what_a_document_says() -> None:
    (image,) = parse_ome(ome_xml(["DNA", None, "CD4"], z=2, t=3, kind="int8"))
    assert (image.size_y, image.size_x) == (12, 10)
    assert (image.size_z, image.size_c, image.size_t) == (2, 3, 3)
    assert image.channel_names == ("DNA", "", "CD4")
    assert image.pixel_type == "int8"
    assert image.pixel_size_um == (0.65, 0.5)
    assert image.n_channels == 3
    assert image.n_pages == 18
    assert image.lists_pages


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ('PhysicalSizeX="650" PhysicalSizeXUnit="nm" PhysicalSizeY="0.5"', (0.5, 0.65)),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="mm" PhysicalSizeY="2"', (2.0, 1000.0)),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1"', None),
        ('PhysicalSizeX="0" PhysicalSizeY="1"', None),
        ('PhysicalSizeX="nan" PhysicalSizeY="1"', None),
        ('PhysicalSizeX="0.5"', None),
        ("", None),
    ],
)
def test_pixel_size_and_its_units(size: str, expected: tuple[float, float] | None) -> None:
    found = parse_ome(ome_xml(["a"], size=size))[0].pixel_size_um
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "xml",
    ["", "<OME>", ome_xml(["a"]).replace('SizeX="10"', ""), ome_xml(["a"], y="many")],  # type: ignore[arg-type]
)
def test_what_is_no_document_is_refused(xml: str) -> None:
    with pytest.raises(ImageError, match="OME-XML cannot be read"):
        parse_ome(xml)


def test_names_and_pixel_size_where_all_agree(tmp_path: Path) -> None:
    pixels = ramp(3, 12, 10)
    image = open_with(tmp_path / "a.ome.tif", ome_xml(["DNA", "CD3", "CD4"]), pixels)
    assert (image.kind, image.axes, image.notes) == ("OME-TIFF", "CYX", ())
    assert image.pixel_size_um == (0.65, 0.5)
    assert np.array_equal(image.plane("CD4").read(ALL, ALL), pixels[2])


def test_the_pages_are_believed_on_y_and_x(tmp_path: Path) -> None:
    pixels = ramp(3, 12, 10)
    image = open_with(tmp_path / "a.ome.tif", ome_xml(["a", "b", "c"], y=99, x=98), pixels)
    assert image.shape == (3, 12, 10)
    assert image.pixel_size_um is None
    assert any("99 x 98 pixels (Y x X), the pages have 12 x 10" in n for n in image.notes)
    assert [c.name for c in image.channels] == ["channel_0", "channel_1", "channel_2"]
    assert np.array_equal(image.plane(2).read(ALL, ALL), pixels[2])


def test_the_pages_are_believed_on_type(tmp_path: Path) -> None:
    pixels = ramp(2, 12, 10)
    image = open_with(tmp_path / "a.ome.tif", ome_xml(["a", "b"], kind="uint8"), pixels)
    assert image.dtype == np.uint16
    assert any("says uint8, the pages are uint16" in note for note in image.notes)
    assert np.array_equal(image.plane("b").read(ALL, ALL), pixels[1])


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d", "e"]])
def test_the_pages_are_believed_on_the_number_of_channels(
    tmp_path: Path, names: list[str | None]
) -> None:
    """Pages that the XML does not list are not lost, and pages it invents are not made up."""
    pixels = ramp(3, 12, 10)
    image = open_with(tmp_path / "a.ome.tif", ome_xml(names, data=""), pixels)
    assert [c.name for c in image.channels] == ["channel_0", "channel_1", "channel_2"]
    assert image.notes
    for channel in range(3):
        assert np.array_equal(image.plane(channel).read(ALL, ALL), pixels[channel])


def test_pages_that_the_xml_leaves_out_are_told(tmp_path: Path) -> None:
    pixels = ramp(3, 12, 10)
    image = open_with(tmp_path / "a.ome.tif", ome_xml(["a", "b"]), pixels)
    assert [c.name for c in image.channels] == ["a", "b"]
    assert any("lists 2 of the file's 3 pages" in note for note in image.notes)


def test_a_page_that_the_xml_invents_is_refused(tmp_path: Path) -> None:
    pixels = ramp(3, 12, 10)
    path = tmp_path / "a.ome.tif"
    image = open_with(path, ome_xml(["a", "b", "c", "d", "e"]), pixels)
    assert image.notes
    good = [c.index for c in image.channels if c.index < 3]
    for channel in good:
        assert np.array_equal(image.plane(channel).read(ALL, ALL), pixels[channel])
    for channel in range(3, len(image.channels)):
        with pytest.raises(ImageError, match="missing"):
            image.plane(channel)


@pytest.mark.parametrize("order", ["XYCZT", "XYZCT", "XYTZC", "XYZTC"])
def test_pages_follow_the_dimension_order_where_none_are_listed(tmp_path: Path, order: str) -> None:
    sizes = {"C": 2, "Z": 3, "T": 4}
    shape = tuple(sizes[a] for a in order[:1:-1])
    pixels = ramp(*shape, 12, 10)
    xml = ome_xml(["a", "b"], z=3, t=4, order=order, data="")
    image = open_with(tmp_path / "a.ome.tif", xml, pixels.reshape(-1, 12, 10))
    assert image.axes == order[::-1]
    assert any("taken in its DimensionOrder" in note for note in image.notes)
    index = {"C": 1, "Z": 2, "T": 3}
    found = image.plane("b", z=2, t=3).read(ALL, ALL)
    assert np.array_equal(found, pixels[tuple(index[a] for a in order[:1:-1])])


def test_a_name_for_a_pixel_of_several_samples(tmp_path: Path) -> None:
    pixels = ramp(12, 10, 3)
    xml = ome_xml(["photo"], samples=3)
    image = open_with(tmp_path / "a.ome.tif", xml, pixels, photometric="rgb")
    assert image.notes == ()
    assert [c.name for c in image.channels] == ["photo red", "photo green", "photo blue"]
    assert np.array_equal(image.plane("photo green").read(ALL, ALL), pixels[..., 1])


def test_fluorescence_stored_as_colours(tmp_path: Path) -> None:
    """One channel of one sample in the XML, four samples a pixel in the file."""
    pixels = ramp(12, 10, 4)
    image = open_with(tmp_path / "a.ome.tif", ome_xml(["a"]), pixels, photometric="rgb")
    assert len(image.channels) == 4
    assert any("says 1 channel, the pages have 4" in note for note in image.notes)
    assert np.array_equal(image.plane(3).read(ALL, ALL), pixels[..., 3])


def test_broken_xml_does_not_hide_the_pages(tmp_path: Path) -> None:
    pixels = ramp(3, 12, 10)
    xml = ome_xml(["a", "b", "c"]).replace("<Pixels", "<Pix&els")
    image = open_with(tmp_path / "a.ome.tif", xml, pixels)
    assert any("OME-XML cannot be read" in note for note in image.notes)
    assert np.array_equal(image.plane(1).read(ALL, ALL), pixels[1])


def test_notes_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.ome.tif"
    image = open_with(path, ome_xml(["a", "b"], kind="uint8"), ramp(2, 12, 10))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: {note}" for note in image.notes
    ]
    caplog.clear()
    open_image(path, log_notes=False).close()
    assert not caplog.records


def write_set(folder: Path, pixels: np.ndarray) -> tuple[Path, Path]:
    """Two files, each a channel; both describe the whole set."""
    paths = folder / "one.ome.tif", folder / "two.ome.tif"
    uuids = "urn:uuid:0001", "urn:uuid:0002"
    data = "".join(
        f'<TiffData IFD="0" FirstC="{i}" PlaneCount="1"><UUID FileName="{p.name}">{u}</UUID>'
        "</TiffData>"
        for i, (p, u) in enumerate(zip(paths, uuids, strict=True))
    )
    for path, uuid, plane in zip(paths, uuids, pixels, strict=True):
        xml = ome_xml(["a", "b"], data=data).replace("<OME ", f'<OME UUID="{uuid}" ')
        tifffile.imwrite(path, plane, description=xml.encode(), metadata=None)
    return paths


def test_a_set_of_files_is_read_from_all_of_them(tmp_path: Path) -> None:
    pixels = ramp(2, 12, 10)
    first, _ = write_set(tmp_path, pixels)
    with open_image(first) as image:
        for name, expected in zip("ab", pixels, strict=True):
            assert np.array_equal(image.plane(name).read(ALL, ALL), expected)


def test_a_file_missing_from_a_set_is_missed_where_it_matters(tmp_path: Path) -> None:
    pixels = ramp(2, 12, 10)
    first, second = write_set(tmp_path, pixels)
    second.unlink()
    with open_image(first) as image:
        assert np.array_equal(image.plane("a").read(ALL, ALL), pixels[0])
        with pytest.raises(ImageError, match="put the files of the set together"):
            image.plane("b")

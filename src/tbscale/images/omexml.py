"""What OME-XML says of an image: names, sizes, pixel size. The file's pages may say otherwise.

Source: the OME model, schema 2016-06, elements Image, Pixels, Channel and TiffData.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from tbscale.errors import ImageError

# lengths in micrometres; the symbols are those of the schema's UnitsLength
MICROMETRES = {
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "in": 25.4e3,
    "m": 1e6,
}


@dataclass(frozen=True)
class OmeImage:
    """One Image element. `dimension_order` is slowest last, e.g. XYCZT, as OME-XML writes it."""

    name: str
    dimension_order: str
    size_x: int
    size_y: int
    size_z: int
    size_c: int
    size_t: int
    pixel_type: str
    channel_names: tuple[str, ...]
    samples_per_channel: tuple[int, ...]
    pixel_size_um: tuple[float, float] | None
    lists_pages: bool

    @property
    def size_c_pages(self) -> int:
        """Channels that are pages of their own; the samples of one pixel share a page."""
        return len(self.channel_names) or self.size_c

    @property
    def n_channels(self) -> int:
        """Channels, counting each sample of a pixel."""
        return sum(self.samples_per_channel) or self.size_c

    @property
    def n_pages(self) -> int:
        """Pages that the image must have, if the samples of a pixel share a page."""
        return self.size_c_pages * self.size_z * self.size_t


def parse_ome(xml: str) -> tuple[OmeImage, ...]:
    """Every Image of a document, in order.

    Raises
    ------
    ImageError : not XML, or a Pixels element without its required attributes
    """
    try:
        root = ElementTree.fromstring(xml)
        return tuple(
            _image(element, pixels)
            for element in root
            if _is(element, "Image")
            for pixels in element
            if _is(pixels, "Pixels")
        )
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ImageError(f"the OME-XML cannot be read ({error}); repair or remove it") from None


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag.rsplit("}", 1)[-1] == name


def _image(element: ElementTree.Element, pixels: ElementTree.Element) -> OmeImage:
    channels = [child for child in pixels if _is(child, "Channel")]
    attributes = pixels.attrib
    return OmeImage(
        name=element.attrib.get("Name", ""),
        dimension_order=attributes["DimensionOrder"],
        size_x=int(attributes["SizeX"]),
        size_y=int(attributes["SizeY"]),
        size_z=int(attributes["SizeZ"]),
        size_c=int(attributes["SizeC"]),
        size_t=int(attributes["SizeT"]),
        pixel_type=attributes.get("Type", ""),
        channel_names=tuple(channel.attrib.get("Name", "") for channel in channels),
        samples_per_channel=tuple(
            int(channel.attrib.get("SamplesPerPixel", 1)) for channel in channels
        ),
        pixel_size_um=_pixel_size_um(attributes),
        lists_pages=any(_is(child, "TiffData") for child in pixels),
    )


def _pixel_size_um(attributes: dict[str, str]) -> tuple[float, float] | None:
    sizes = []
    for axis in "YX":
        value = attributes.get(f"PhysicalSize{axis}")
        # the schema's default unit is the micrometre; a unit such as "pixel" is no length
        factor = MICROMETRES.get(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        if value is None or factor is None or not float(value) > 0:
            return None
        sizes.append(float(value) * factor)
    return sizes[0], sizes[1]

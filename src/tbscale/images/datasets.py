"""The three datasets: what they are, where they are, and the tissue that imitates them.

Geometry, channel counts, sources: DOI and pages named below. Channel names here are generic
(DNA_n, A488_n, A555_n, A647_n for cycle n): the stains of each cycle are in the originals'
metadata, and nothing here depends on them. Pixel sizes, cell sizes and densities are
approximate, from the objectives of the acquisitions and the masks found in 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tbscale.errors import DatasetError
from tbscale.images.standin.spec import TissueSpec

SYNAPSE_FOLDER = "syn26848688"
_CYCLE = ("DNA", "A488", "A555", "A647")


@dataclass(frozen=True)
class Dataset:
    """One image of the project, real or to be imitated.

    Attributes
    ----------
    name, file : as people say it; the file's name on Synapse
    shape : (Y, X) of the full plane, pixels
    channel_names : generic, in cycles of four, see the module
    pixel_size_um : approximate, micrometres; None if unknown
    stored_bytes : approximate size of the original file
    licence : None if not stated where we looked: see `source`
    reference, doi, source : what to cite and where it comes from
    synapse_folder : Synapse id of the folder that holds the file
    tissue : what the stand-in draws, with seed 0
    """

    name: str
    file: str
    shape: tuple[int, int]
    channel_names: tuple[str, ...]
    pixel_size_um: float | None
    stored_bytes: int
    licence: str | None
    reference: str
    doi: str
    source: str
    synapse_folder: str
    tissue: TissueSpec

    @property
    def nuclear_channels(self) -> tuple[int, ...]:
        """Indices of the nuclear stain: the first channel of every cycle of four."""
        return tuple(range(0, len(self.channel_names), len(_CYCLE)))

    def stand_in_tissue(self, seed: int) -> TissueSpec:
        """The tissue that the stand-in of this seed shows."""
        return replace(self.tissue, seed=seed)


def _channels(n: int) -> tuple[str, ...]:
    return tuple(f"{_CYCLE[i % 4]}_{i // 4 + 1}" for i in range(n))


EXEMPLAR = Dataset(
    name="exemplar-001",
    file="exemplar-001.ome.tif",
    shape=(3138, 2509),
    channel_names=_channels(12),
    pixel_size_um=0.65,
    stored_bytes=400_000_000,
    licence=None,
    reference="Schapiro et al. 2022, MCMICRO, Nature Methods 19, 311",
    doi="10.1038/s41592-021-01308-y",
    source="https://mcmicro.org/datasets.html",
    synapse_folder=SYNAPSE_FOLDER,
    tissue=TissueSpec(
        seed=0,
        shape=(3138, 2509),
        diameter_px=(10.0, 17.0),
        nuclei_per_megapixel=1520,
        density_variation=0.85,
        patch_px=450,
    ),
)

LUNG = Dataset(
    name="LUNG-1-LN_40X",
    file="LUNG-1-LN_40X.ome.tif",
    shape=(10101, 9666),
    channel_names=_channels(44),
    pixel_size_um=0.325,
    stored_bytes=12_000_000_000,
    licence=None,
    reference="Rashid et al. 2019, Scientific Data 6, 323",
    doi="10.1038/s41597-019-0332-y",
    source="https://doi.org/10.1038/s41597-019-0332-y",
    synapse_folder=SYNAPSE_FOLDER,
    tissue=TissueSpec(
        seed=0,
        shape=(10101, 9666),
        diameter_px=(20.0, 30.0),
        nuclei_per_megapixel=880,
        elongation=(1.0, 1.45),
        density_variation=0.5,
        patch_px=1100,
        stroma_share=0.12,
        overlap=0.18,
        blur_px=1.4,
        defocus_px=2.0,
        ring=0.2,
        texture=0.14,
        texture_px=4.0,
        ghosts_per_megapixel=80,
        debris_per_megapixel=4,
    ),
)

SARDANA = Dataset(
    name="WD-76845-097",
    file="WD-76845-097.ome.tif",
    shape=(27120, 26139),
    channel_names=_channels(40),
    pixel_size_um=0.65,
    stored_bytes=80_000_000_000,
    licence=None,
    reference="Lin et al. 2018, eLife 7, e31657; section 97 of the series TNP-SARDANA",
    doi="10.7554/eLife.31657",
    source="https://www.cycif.org",
    synapse_folder=SYNAPSE_FOLDER,
    tissue=TissueSpec(
        seed=0,
        shape=(27120, 26139),
        diameter_px=(10.0, 17.0),
        nuclei_per_megapixel=2250,
        empty_share=0.33,
        density_variation=0.7,
        patch_px=1500,
        stroma_share=0.3,
    ),
)

DATASETS: dict[str, Dataset] = {d.name: d for d in (EXEMPLAR, LUNG, SARDANA)}


def dataset(name: str) -> Dataset:
    """Look a dataset up by its name.

    Raises
    ------
    DatasetError : no such name; the message lists the names there are
    """
    try:
        return DATASETS[name]
    except KeyError:
        choices = ", ".join(DATASETS)
        raise DatasetError(f"no dataset is called {name!r}; choose one of {choices}") from None

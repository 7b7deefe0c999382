"""The registry of datasets."""

import pytest

from tbscale.errors import DatasetError
from tbscale.images.datasets import DATASETS, dataset
from tbscale.images.standin import nuclei_count

# name, (Y, X), channels, nuclei in the whole plane: low, high
GEOMETRY = [
    ("exemplar-001", (3138, 2509), 12, 6_700, 10_300),
    ("LUNG-1-LN_40X", (10101, 9666), 44, 39_000, 68_500),
    ("WD-76845-097", (27120, 26139), 40, 1_000_000, 1_100_000),
]


@pytest.mark.parametrize(("name", "shape", "channels", "low", "high"), GEOMETRY)
def test_geometry_and_cells(
    name: str, shape: tuple[int, int], channels: int, low: int, high: int
) -> None:
    data = dataset(name)
    assert (data.name, data.shape, len(data.channel_names)) == (name, shape, channels)
    assert data.tissue.shape == shape
    assert low < nuclei_count(data.stand_in_tissue(0)) < high


@pytest.mark.parametrize("data", DATASETS.values(), ids=list(DATASETS))
def test_nuclear_stain_opens_every_cycle(data: object) -> None:
    assert all(data.channel_names[n].startswith("DNA_") for n in data.nuclear_channels)
    assert data.nuclear_channels[:3] == (0, 4, 8)
    assert sum(name.startswith("DNA") for name in data.channel_names) == len(data.nuclear_channels)
    assert len(set(data.channel_names)) == len(data.channel_names)


def test_unknown_name_lists_the_choices() -> None:
    with pytest.raises(DatasetError, match="exemplar-001, LUNG-1-LN_40X, WD-76845-097"):
        dataset("exemplar-002")


def test_seeds_change_the_tissue_and_nothing_else() -> None:
    one, two = (dataset("exemplar-001").stand_in_tissue(seed) for seed in (1, 2))
    assert (one.seed, two.seed) == (1, 2)
    assert one.diameter_px == two.diameter_px

"""Run the do and the don't of every guideline: taken out of its page, with an assertion each."""

import os
import re
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from tbscale.book.guidelines.registry import GUIDELINES, guideline
from tbscale.images.plane import ArrayPlane

PAGES = Path(__file__).resolve().parents[1] / "notebooks" / "guidelines"
LONGEST = 16


def code_of(key: str) -> tuple[Any, Any]:
    """The functions `do` and `dont` of a page."""
    text = (PAGES / f"{guideline(key).slug}.md").read_text(encoding="utf-8")
    found = []
    for heading, name in (("Do", "do"), ("Don't", "dont")):
        block = re.search(rf"^## {heading}\n\n```python\n(.*?)^```$", text, re.M | re.S)
        assert block, f"{key}: no code under {heading}"
        assert len([x for x in block.group(1).splitlines() if x.strip()]) <= LONGEST
        space: dict[str, Any] = {}
        exec(compile(block.group(1), f"{key} {heading}", "exec"), space)
        found.append(space[name])
    return found[0], found[1]


def image(shape: tuple[int, int] = (48, 40), seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 4000, shape).astype(np.uint16)


def squares(size: int = 64, pitch: int = 8) -> np.ndarray:
    """Labels of squares that do not touch."""
    y, x = np.mgrid[:size, :size]
    inside = (y % pitch > 1) & (x % pitch > 1)
    return np.where(inside, y // pitch * (size // pitch) + x // pitch + 1, 0).astype(np.uint32)


def test_every_page_has_a_check_here() -> None:
    assert {f"test_{one.key}" for one in GUIDELINES} <= set(globals())


def test_g01(tmp_path: Path) -> None:
    do, dont = code_of("g01")
    stack = np.stack([image(seed=k) for k in range(3)])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    np.testing.assert_array_equal(do(tmp_path / "a.tif", 1), stack[1])
    np.testing.assert_array_equal(dont(tmp_path / "a.tif", 1), stack[1])


def test_g02() -> None:
    do, dont = code_of("g02")
    sums: list[list[int]] = [[], []]
    plane = ArrayPlane(image((100, 90)))
    do(plane, lambda piece: sums[0].append(int(piece.sum())), 32)
    dont(plane, lambda piece: sums[1].append(int(piece.sum())), 8)
    assert sum(sums[0]) == sum(sums[1]) == int(plane.pixels.sum())
    assert len(sums[1]) > len(sums[0])


def test_g03() -> None:
    do, dont = code_of("g03")
    pixels, asked = image((100, 50)), []

    def rows(top: int, stop: int) -> np.ndarray:
        asked.append(stop - top)
        return pixels[top:stop]

    assert do(rows, 100, 16) == pytest.approx(dont(rows, 100, 16), rel=1e-12)
    assert asked[:-1] == [16] * 6 + [4]
    assert asked[-1] == 100


def test_g04() -> None:
    do, dont = code_of("g04")
    assert do((1000, 1000), 10**9, 89, 500_000_000) == 589_000_000
    with pytest.raises(MemoryError, match="use blocks"):
        do((100_000, 100_000), 10**9, 89, 500_000_000)
    assert dont(np.zeros, (3, 3)).shape == (3, 3)


@pytest.mark.parametrize("seed", range(3))
def test_g05(seed: int) -> None:
    do, dont = code_of("g05")
    np.testing.assert_array_equal(
        do(image(seed=seed), 200, 3000), dont(image(seed=seed), 200, 3000)
    )


def test_g06() -> None:
    do, dont = code_of("g06")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, other = do(squares().astype(int)), dont(squares().astype(int))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_g07() -> None:
    do, dont = code_of("g07")
    np.testing.assert_allclose(
        do(image((64, 64)), squares()), dont(image((64, 64)), squares()), rtol=1e-12
    )


def test_g08() -> None:
    do, dont = code_of("g08")
    calls = [0]

    def towards_zero(at: np.ndarray) -> np.ndarray:
        calls[0] += len(at)
        return at - np.sign(at)

    start = np.random.default_rng(0).integers(-9, 9, (50, 2))
    early = do(towards_zero, start, 200)
    few, calls[0] = calls[0], 0
    np.testing.assert_array_equal(early, dont(towards_zero, start, 200))
    assert calls[0] > 5 * few


def test_g09() -> None:
    do, dont = code_of("g09")
    seen: list[int] = []

    def costly(values: np.ndarray) -> np.ndarray:
        seen.append(values.size)
        return np.sqrt(values.astype(np.float64))

    np.testing.assert_array_equal(do(image(), 3000, costly), dont(image(), 3000, costly))
    assert seen[0] < seen[1] / 2


def test_g10() -> None:
    do, dont = code_of("g10")
    y = 100_000 + np.random.default_rng(0).uniform(0, 9, 1000)
    assert do(y) == pytest.approx(float(np.var(y)), rel=1e-3)
    assert abs(dont(y) / float(np.var(y)) - 1) > 0.5


def test_g11() -> None:
    do, dont = code_of("g11")
    assert 0 < do(10**9) < do(10**15)
    assert set(dont(lambda size: size)) == {1, 2, 4, 8, 16}


def test_g13() -> None:
    do, dont = code_of("g13")
    glass, cells = image(seed=2) // 40, image(seed=3)
    one, other = do([glass, cells]), dont([glass, cells])
    assert one[0].max() < 0.1
    assert other[0].max() > 0.9
    together = np.percentile(np.stack([glass, cells]), (1, 99), method="inverted_cdf")
    np.testing.assert_allclose(one[1], (cells - together[0]) / np.diff(together), rtol=1e-6)


def test_g14() -> None:
    do, dont = code_of("g14")
    whole = do(1000, 224, 0, 1000)
    assert whole[0] == 0
    assert whole[-1] == 1000 - 224
    assert set(do(1000, 224, 300, 600)) < set(whole)
    assert not set(dont(1000, 224, 300, 600)) <= set(whole)


def test_g15() -> None:
    do, dont = code_of("g15")
    mask = np.kron(squares(60, 12) > 0, np.ones((1, 1), bool))
    cores = [slice(0, 17), slice(17, 40), slice(40, 60)]
    whole = do(mask, slice(0, 60), 0)
    owned = [area for core in cores for area in do(mask, core, 12)]
    assert sorted(owned) == sorted(whole)
    cut = [area for core in cores for area in dont(mask, core, 12)]
    assert len(cut) > len(whole)


def test_g16() -> None:
    do, dont = code_of("g16")
    counts = np.array([3, 0, 5, 2])
    assert do(counts).tolist() == [1, 4, 4, 9]
    assert dont(counts, [0, 1, 2, 3]) == [1, 4, 4, 9]
    assert dont(counts, [3, 2, 1, 0]) != dont(counts, [0, 1, 2, 3])


def test_g17(tmp_path: Path) -> None:
    do, dont = code_of("g17")
    made: list[str] = []

    def work(name: str) -> str:
        made.append(name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return name * 2

    names = ["a", "b", "c", "d"]
    with pytest.raises(KeyboardInterrupt):
        do(tmp_path, names, work)
    do(tmp_path, names, work)
    assert made == ["a", "b", "c", "c", "d"]
    assert [(tmp_path / name).read_text() for name in names] == ["aa", "bb", "cc", "dd"]
    made.clear()
    with pytest.raises(KeyboardInterrupt):
        dont(tmp_path, names, work)
    assert (tmp_path / "c").read_text() == ""  # there, and empty


def test_g18() -> None:
    do, dont = code_of("g18")

    def slowly(value: int) -> int:
        time.sleep(0.02)
        return value + 1

    began = time.perf_counter()
    plain = dont(range(10), slowly, slowly)
    middle = time.perf_counter()
    assert do(range(10), slowly, slowly) == plain == [k + 2 for k in range(10)]
    assert time.perf_counter() - middle < 0.9 * (middle - began)


def test_g19() -> None:
    do, dont = code_of("g19")
    cores, environ = os.cpu_count() or 1, {}
    assert do(cores, environ) <= cores
    assert environ["OMP_NUM_THREADS"] == "1"
    assert dont(cores, environ) == cores**2


def test_g20() -> None:
    do, dont = code_of("g20")
    script = "import sys; print(7, *range(int(sys.argv[1])))"
    assert do(script, "7", repeats=3) == [0, 1, 2]
    assert dont(lambda: 7) > 0
    with pytest.raises(ValueError, match="the answer is wrong"):
        do("print(8)", "7")


def test_g21() -> None:
    do, dont = code_of("g21")
    rng = np.random.default_rng(3)
    d, g = rng.normal(size=4), rng.normal(size=3)
    np.testing.assert_allclose(do(d, g), dont(d, g), rtol=1e-12)
    np.testing.assert_allclose(dont(d, g), np.correlate(d, g, "valid"), rtol=1e-12)


def test_g22() -> None:
    do, dont = code_of("g22")
    far = np.random.default_rng(4).uniform(0, 100, 4000).astype(np.float32)
    assert (do(far, 50.0) != (far > 50.0)).mean() <= 1e-3
    near = (1000 + np.linspace(-0.4, 0.4, 4000)).astype(np.float32)
    np.testing.assert_array_equal(do(near, 1000.0), near > 1000.0)
    quick = near.astype(np.float16) > np.float16(1000.0)
    assert (quick != (near > 1000.0)).mean() > 0.1, "narrow numbers alone would have been wrong"
    assert abs(float(dont(np.ones(5000))) / 5000 - 1) > 0.5


def test_g23(monkeypatch: pytest.MonkeyPatch) -> None:
    do, dont = code_of("g23")
    frames = [image(seed=k).astype(float) for k in range(4)]
    outputs: list[object] = []
    smooth = ndimage.gaussian_filter

    def spy(frame: np.ndarray, sigma: float, output: Any = None) -> Any:
        result = smooth(frame, sigma, output=output)
        outputs.append(output if isinstance(output, np.ndarray) else result)
        return result

    monkeypatch.setattr(ndimage, "gaussian_filter", spy)
    assert do(frames, 1.5) == dont(frames, 1.5)
    assert len({id(one) for one in outputs[:4]}) == 1
    assert len({id(one) for one in outputs[4:]}) == 4


def test_g12() -> None:
    do, dont = code_of("g12")
    chunk = image().tobytes()
    assert do(chunk, zlib.crc32(chunk), "chunk 3") == chunk
    damaged = bytes([chunk[0] ^ 1]) + chunk[1:]
    assert dont(damaged, zlib.crc32(chunk), "chunk 3") == damaged
    with pytest.raises(ValueError, match="fetch the file again"):
        do(damaged, zlib.crc32(chunk), "chunk 3")

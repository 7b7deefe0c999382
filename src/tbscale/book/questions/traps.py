"""What the usual shortcuts do to the cells, against Cellpose on the whole plane."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.drawing import BLUE, Drawing, csv_of, finish, new_axes, styled
from tbscale.book.markdown import number, table, text
from tbscale.book.questions.measures import median_of, subjects_of
from tbscale.book.shelf import Entry

WORDS = {
    "drift/frame": "Cellpose 4 follows the same flows",
    "drift/part/cellpose-3": "a part of the plane, followed by Cellpose 3 in its own frame",
    "drift/part/cellpose-4": "the same part, followed by Cellpose 4",
    "norm/plane": "nothing: intensities scaled over the plane, as it should be",
    "norm/crops": "intensities scaled crop by crop",
    "stitch/touch/own-norm": "crops merged where cells touch, each scaled on its own",
    "stitch/touch/plane-norm": "crops merged where cells touch, scaled over the plane",
    "stitch/iou/own-norm": "crops merged by overlap, each scaled on its own",
    "stitch/iou/plane-norm": "crops merged by overlap, scaled over the plane",
}
RINGS = "drift/ring"


def traps_table(record: Record) -> str:
    """One row a shortcut: cells found, cells that stay pixel for pixel, and AP."""
    rows = []
    for subject, words in WORDS.items():
        if subject not in all_subjects(record):
            continue
        equal = median_of(record, "equal-share", subject)
        before = round(median_of(record, "reference-cells", subject))
        rows.append(
            [
                words,
                f"{formats.count(round(median_of(record, 'cells', subject)))} of "
                f"{formats.count(before)}",
                formats.count(round((1 - equal) * before)),
                formats.share_fine(median_of(record, "differing-share", subject)),
                *(f"{median_of(record, f'ap-{level}', subject):.4f}" for level in ("0.5", "0.9")),
            ]
        )
    columns = [text("shortcut"), number("cells"), number("that change"), number("foreground")]
    return table([*columns, number("AP, 0.5"), number("AP, 0.9")], rows)


def all_subjects(record: Record) -> set[str]:
    """Subjects that were compared with the whole plane."""
    return {one.subject for one in record.measures if one.name == "reference-cells"}


def changed_by_ring(record: Record) -> dict[int, float]:
    """Share of cells that change, ring by ring from the middle of the frame."""
    found = [one for one in subjects_of(record, "drift", "equal-share") if one.startswith(RINGS)]
    return {
        int(one.removeprefix(f"{RINGS}-").partition("-")[0]): 1
        - median_of(record, "equal-share", one)
        for one in found
    }


def drift_drawing(entry: Entry) -> Drawing:
    """The share of cells that Cellpose 4 changes, by how far from the middle they lie."""
    shares = changed_by_ring(entry.record)
    with styled():
        figure, axes = new_axes(2.6)
        axes.bar(list(shares), list(shares.values()), color=BLUE)
        axes.set_xticks(list(shares))
        axes.set_ylim(0, 1)
        axes.set_xlabel("ring of the frame, from the middle (1) to the edge")
        axes.set_ylabel("share of cells that change")
        csv = csv_of(("ring", "share that changes"), list(shares.items()))
        said = "; ".join(f"ring {ring} {formats.share(one)}" for ring, one in shares.items())
        alt = f"Share of cells that change between Cellpose 3 and 4. {said}"
        return finish(figure, f"{entry.address}-drift", alt, csv)

"""What the model card shows of its record: tables of scores, and a figure of every image."""

from __future__ import annotations

from tbscale.bench.schema import Measure, Record
from tbscale.book import formats
from tbscale.book.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    Drawing,
    csv_of,
    finish,
    new_axes,
    styled,
)
from tbscale.book.markdown import cell, number, table, text
from tbscale.book.shelf import Entry

THRESHOLDS = ("0.5", "0.75", "0.9")
GROUPS = {
    "dsb2018": "real fluorescence images, held out",
    "stand-in-exemplar-001": "stand-in of exemplar-001",
    "stand-in-LUNG-1-LN_40X": "stand-in of LUNG-1-LN_40X",
    "stand-in-WD-76845-097": "stand-in of WD-76845-097",
    "varied": "varied synthetic images, held out",
}
EXTREMES = 4


def value_of(record: Record, name: str, subject: str) -> float:
    """One measure of a record. KeyError where it has none of that name and subject."""
    for one in record.measures:
        if (one.name, one.subject) == (name, subject):
            return one.value
    raise KeyError(f"{name} of {subject}")


def scores_table(record: Record) -> str:
    """Mean average precision and count error of each group of images."""
    rows = [
        [
            cell(words),
            formats.count(int(value_of(record, "images", group))),
            formats.count(int(value_of(record, "true-cells", group))),
            *(f"{value_of(record, f'mean-ap-{t}', group):.3f}" for t in THRESHOLDS),
            f"{100 * value_of(record, 'count-error', group):+.1f} %",
        ]
        for group, words in GROUPS.items()
    ]
    heads = [number(f"AP at IoU {t}") for t in THRESHOLDS]
    counts = [text("images of"), number("images"), number("true cells")]
    return table([*counts, *heads, number("cells too many")], rows)


def tissue_table(record: Record) -> str:
    """F1 at IoU 0.5 on tissue, against two experts who differ between themselves."""
    rows = []
    for name, words in {"embedded": "embedded weights", "cellpose-0.6.1": "Cellpose 0.6.1"}.items():
        both = [value_of(record, "f1-0.5", f"codex/{name}/expert-{k}") for k in (1, 2)]
        rows.append([words, *(f"{one:.3f}" for one in both), f"{sum(both) / 2:.3f}"])
    among = value_of(record, "f1-0.5", "codex/expert-1/expert-2")
    rows.append(["the other expert", f"{among:.3f}", f"{among:.3f}", f"{among:.3f}"])
    return table([text("labels"), number("expert 1"), number("expert 2"), number("mean")], rows)


def images_of(record: Record, group: str, threshold: str) -> dict[str, float]:
    """Average precision of each image of a group, by its name."""
    prefix = f"{group}/"
    return {
        one.subject.removeprefix(prefix): one.value
        for one in record.measures
        if one.name == f"ap-{threshold}" and one.subject.startswith(prefix)
    }


def extremes_table(record: Record, group: str) -> str:
    """The best and the worst images of a group, by average precision at IoU 0.5."""
    scores = sorted(images_of(record, group, "0.5").items(), key=lambda item: item[1])
    chosen = [*scores[:EXTREMES], *scores[-EXTREMES:]]
    other = {t: images_of(record, group, t) for t in THRESHOLDS[1:]}
    rows = [
        [cell(name), f"{ap:.3f}", *(f"{other[t][name]:.3f}" for t in THRESHOLDS[1:])]
        for name, ap in chosen
    ]
    return table([text("image"), *(number(f"AP at IoU {t}") for t in THRESHOLDS)], rows)


def scores_drawing(entry: Entry) -> Drawing:
    """The average precision of every held-out real image, sorted, at three thresholds."""
    groups = {t: sorted(images_of(entry.record, "dsb2018", t).values()) for t in THRESHOLDS}
    with styled():
        figure, axes = new_axes(2.7)
        colours = dict(zip(THRESHOLDS, (BLUE, GREEN, ORANGE), strict=True))
        for threshold, values in groups.items():
            axes.plot(values, color=colours[threshold], label=f"IoU {threshold}", linewidth=1.8)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("images, from the worst to the best")
        axes.set_ylabel("average precision")
        axes.tick_params(labelcolor=SOFT)
        axes.legend(labelcolor=INK, fontsize=9)
        return finish(figure, f"{entry.address}-scores", _alt(groups), _csv(entry.record))


def _alt(groups: dict[str, list[float]]) -> str:
    parts = [f"at IoU {t} from {v[0]:.2f} to {v[-1]:.2f}" for t, v in groups.items()]
    return f"Average precision of each held-out real image, sorted: {'; '.join(parts)}."


def _csv(record: Record) -> str:
    rows: list[tuple[object, ...]] = [
        (name, t, ap)
        for t in THRESHOLDS
        for name, ap in sorted(images_of(record, "dsb2018", t).items())
    ]
    return csv_of(("image", "iou", "average_precision"), rows)


def training_facts(record: Record) -> dict[str, Measure]:
    """The measures of the training run, by name."""
    return {one.name: one for one in record.measures if one.subject == "training"}

"""Read the measures of an experiment's record: repeats of one name and subject as a summary."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.bench.statistics import Summary, summarise
from tbscale.book import formats
from tbscale.book.markdown import code

GRADES = ("bit", "partition", "near", "ap")


def values_of(record: Record, name: str, subject: str) -> list[float]:
    """Every repeat of a measure, in the order of the record; empty where it has none."""
    return [one.value for one in record.measures if (one.name, one.subject) == (name, subject)]


def summary_of(record: Record, name: str, subject: str) -> Summary:
    """Repeats of a measure. KeyError where the record has none."""
    values = values_of(record, name, subject)
    if not values:
        raise KeyError(f"{name} of {subject}")
    return summarise(values)


def median_of(record: Record, name: str, subject: str) -> float:
    """Median of a measure's repeats. KeyError where the record has none."""
    return summary_of(record, name, subject).median


def subjects_of(record: Record, prefix: str, name: str = "wall") -> list[str]:
    """Subjects under a prefix that have a measure, each once, in the order of the record."""
    found = (one.subject for one in record.measures if one.name == name)
    return list(dict.fromkeys(one for one in found if one.startswith(f"{prefix}/")))


def grade_cell(record: Record, subject: str) -> str:
    """The grade of a subject's output against that of Cellpose, as the run found it, or a dash."""
    found = [grade for grade in GRADES if values_of(record, f"grade-{grade}", subject)]
    return code(found[0]) if found else "–"


def steps_of(record: Record, subject: str) -> dict[str, float]:
    """Median seconds of each step of a subject, in the order of a run."""
    names = (one.name for one in record.measures if one.subject == subject)
    steps = dict.fromkeys(name for name in names if name.startswith("step-"))
    return {name.removeprefix("step-"): median_of(record, name, subject) for name in steps}


def seconds_cell(summary: Summary) -> str:
    """Median and, where there are repeats, their range."""
    text = formats.seconds(summary.median)
    return text if summary.n == 1 else f"{text} ({formats.seconds_range(summary)})"


def paired_ratios(record: Record, subject: str, baseline: str, name: str = "wall") -> list[float]:
    """Ratio of a subject to a baseline, repeat by repeat: the pairs of each round."""
    pairs = zip(values_of(record, name, subject), values_of(record, name, baseline), strict=True)
    return [one / other for one, other in pairs]


def ratio_cell(summary: Summary) -> str:
    """Median ratio with its range."""
    low, high = (formats.three_digits(one) for one in (summary.smallest, summary.largest))
    text = formats.three_digits(summary.median)
    return text if summary.n == 1 else f"{text} ({low} to {high})"


def image_of(record: Record) -> str:
    """The image of a record, with channel, level and region where they are not the usual ones."""
    data = record.dataset
    parts = [data.name, *(["stand-in"] if data.origin == "stand-in" else [])]
    parts += [f"channel {data.channel_name or data.channel}"] if data.channel else []
    parts += [f"level {data.level}"] if data.level else []
    if data.crop is None:
        return ", ".join([*parts, formats.shape(data.shape)])
    y0, y1, x0, x1 = data.crop
    return ", ".join([*parts, f"{formats.shape((y1 - y0, x1 - x0))} of it"])

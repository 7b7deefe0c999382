"""What reading, writing and tables reach of the codecs' own speed, and what each codec gives."""

from __future__ import annotations

from tbscale.bench.schema import Record
from tbscale.book import formats
from tbscale.book.drawing import Drawing
from tbscale.book.markdown import number, table, text
from tbscale.book.questions.measures import median_of, seconds_cell, summary_of
from tbscale.book.questions.ranges import ranges_drawing
from tbscale.book.shelf import Entry

JOBS = {
    "read": "reading a plane, a few rows at a time",
    "table": "a table of cells: shapes, and means of one channel",
    "write-ome-zarr": "writing labels with their pyramid, OME-Zarr (zstd)",
    "write-ome-tiff": "writing labels with their pyramid, OME-TIFF (deflate)",
}
CHOSEN = {
    "labels, uint32": "zstd-1",
    "flow of the foreground, float32": "none",
    "offsets to sinks, int16": "zstd-1",
    "foreground, packed bits": "zstd-1",
}


def jobs_table(record: Record) -> str:
    """One row a job: ours, the codec's part, and the share of its speed that is reached."""
    rows = []
    for name, words in JOBS.items():
        subject = f"job/{name}"
        share = summary_of(record, "of-codec", subject)
        low, high = (formats.share(one) for one in (share.smallest, share.largest))
        rows.append(
            [
                words,
                seconds_cell(summary_of(record, "ours", subject)),
                seconds_cell(summary_of(record, "codec", subject)),
                f"{formats.share(share.median)} ({low} to {high})",
            ]
        )
    columns = [text("job"), number("ours"), number("codec alone"), number("of the codec's speed")]
    return table(columns, rows)


def files_drawing(entry: Entry) -> Drawing:
    """The share of the codec's speed that each job reaches, with the range of the rounds."""
    return ranges_drawing(
        f"{entry.address}-files",
        {name: summary_of(entry.record, "of-codec", f"job/{name}") for name in JOBS},
        "speed, as a share of the codec's alone",
        "Share of the codec's own speed.",
        formats.share,
    )


def codecs_table(record: Record) -> str:
    """Every codec on a chunk of every kind of array; the one in use is marked."""
    rows = []
    for subject in dict.fromkeys(
        one.subject for one in record.measures if one.name == "share-of-bytes"
    ):
        _, kind, codec = subject.split("/")
        mark = " **in use**" if CHOSEN.get(kind) == codec else ""
        rows.append(
            [
                kind,
                f"`{codec}`{mark}",
                formats.share(median_of(record, "share-of-bytes", subject)),
                formats.memory(median_of(record, "encoded-bytes-per-s", subject)) + "/s",
            ]
        )
    columns = [text("array"), text("codec"), number("bytes left"), number("speed of one thread")]
    return table(columns, rows)

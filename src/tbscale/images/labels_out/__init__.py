"""Write labels block by block, in any order, as OME-Zarr or OME-TIFF."""

from tbscale.images.labels_out.writer import LabelWriter, open_label_writer, partial_path

__all__ = ["LabelWriter", "open_label_writer", "partial_path"]

"""Reading and writing planes: OME-TIFF, OME-Zarr, datasets, stand-ins."""

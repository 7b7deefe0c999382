"""One self-contained page about one segmentation, for the eye."""

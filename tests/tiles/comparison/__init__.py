"""Compares the tiles of GeoTIFFs with what GDAL makes of the same files, pixel by pixel.

`python -m tests.tiles.comparison FOLDER` compares the files of a folder, and without a folder those of `samples.py`.
"""

"""After any edits, drops and resumes a client holds exactly what a fresh rendering shows, whether it came whole or as deltas.

Random but repeatable edits of a mosaic and of a feature layer, told over the wire to the Python client's own picture of the tiles.
"""

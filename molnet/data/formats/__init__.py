"""One module per family of file formats; `molnet.data.read` chooses among them and converts the units."""

"""From files to graphs: readers, labels, neighbour lists, data sets."""

from molnet.data.convert import to_graph, to_properties
from molnet.data.dataset import Dataset
from molnet.data.labels import LabelError, labels, require, set_labels
from molnet.data.neighbors import neighbor_list

__all__ = ["Dataset", "LabelError", "labels", "neighbor_list", "require", "set_labels", "to_graph", "to_properties"]

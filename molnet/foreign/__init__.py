"""Networks in the files of other programs: n2p2, RuNNer and ANI."""

from molnet.foreign.ani import read_ani
from molnet.foreign.lines import ForeignFileError
from molnet.foreign.n2p2 import read_n2p2
from molnet.foreign.n2p2_write import write_n2p2

__all__ = ["ForeignFileError", "read_ani", "read_n2p2", "write_n2p2"]

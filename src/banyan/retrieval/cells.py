"""An index for catalogues of millions: item vectors parted into cells, of which a question looks at the nearest ones."""

import hashlib
import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from banyan.disk import whole
from banyan.errors import MissingExtraError
from banyan.retrieval import Index
from banyan.retrieval.index import finite
from banyan.types import Array

A_CELL = 64  # most vectors from which a cell's middle is learned, times cells
ROUNDS = 6  # of k-means
ONE_IN = 16  # cells, a question looks at the nearest ...
LEAST = 64  # ... and at no fewer than these
SUFFIX = ".cells"
KEPT = 8  # indexes of a folder, the newest; two versions and their successors


class Cells(Index):
    """An inverted file (Sivic and Zisserman, ICCV 2003; by faiss): 4 sqrt(K) cells of k-means.

    The largest products become the smallest distances (Bachrach et al., RecSys 2014): with c the mean of all x, and R the largest |x - c|, an item is
    (x - c, sqrt(R^2 - |x - c|^2)) and a question (q, 0), so that  |question - item|^2 = |q|^2 + R^2 - 2 q (x - c). A question looks at one cell in 16: of
    the 500 nearest that finds all of 43 thousand groceries, and 998 of 1,000 of a million items that an untrained network drew (measured). With `among` it
    looks at as many more as fewer items count, and then at more until there are k.
    """

    def __init__(self, items: Float[Array, "K H"], folder: Path | None = None) -> None:
        """Make it; where a `folder` is given, the one that is kept there for the same vectors is read instead, or else what is made is left there.

        Raises MissingExtraError without faiss, DataError for vectors that are not finite.
        """
        rows = np.ascontiguousarray(finite(items), np.float32)
        path = None if folder is None else folder / (hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest() + SUFFIX)
        kept = None if path is None or not path.exists() else _read(path, rows.shape)
        self.middle = rows.mean(0, dtype=np.float64).astype(np.float32) if len(rows) else np.zeros(rows.shape[1], np.float32)
        apart = rows - self.middle
        self.cells = _made(apart) if kept is None else kept
        self.radius = float(np.square(apart).sum(1).max(initial=0))
        self.looks = min(max(LEAST, self.cells.nlist // ONE_IN), self.cells.nlist)
        if path is not None and kept is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as aside:
                _faiss().write_index(self.cells, str(aside))
            for old in sorted(path.parent.glob(f"*{SUFFIX}"), key=_age)[KEPT:]:
                old.unlink(missing_ok=True)  # whoever has it open keeps it

    def nearest(self, vectors: Float[Array, "B H"], k: int, among: Array | None = None) -> tuple[Array, Array]:
        """As the contract says, but for what lies in cells that were not looked at."""
        k = min(k, len(self) if among is None else int(among.sum()))
        if not k or not len(vectors):
            return np.zeros((len(vectors), k), np.int64), np.zeros((len(vectors), k), np.float32)
        asked = np.ascontiguousarray(finite(vectors), np.float32)
        bits = None if among is None or among.all() else np.packbits(among, bitorder="little")
        looked = min(math.ceil(self.looks * len(self) / (len(self) if among is None else among.sum())), self.cells.nlist)
        places, far = self._looked(asked, k, looked, bits)
        while (lacking := np.flatnonzero((places < 0).any(1))).size and looked < self.cells.nlist:
            looked = min(4 * looked, self.cells.nlist)
            places[lacking], far[lacking] = self._looked(asked[lacking], k, looked, bits)
        square = np.square(asked).sum(1, keepdims=True)
        return places, ((square + self.radius - far) / 2 + asked @ self.middle[:, None]).astype(np.float32)

    def _looked(self, asked: Array, k: int, cells: int, bits: Array | None) -> tuple[Array, Array]:
        faiss = _faiss()
        only = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
        wide = np.concatenate([asked, np.zeros((len(asked), 1), np.float32)], 1)
        far, places = self.cells.search(wide, k, params=faiss.SearchParametersIVF(nprobe=cells, **only))
        return places, far

    def __len__(self) -> int:
        return int(self.cells.ntotal)


def available() -> bool:
    """Whether the package behind `Cells` is installed."""
    return importlib.util.find_spec("faiss") is not None


def _made(apart: Array) -> Any:
    """Of vectors less their mean."""
    faiss, square = _faiss(), np.square(apart).sum(1)
    wide = np.concatenate([apart, np.sqrt(np.max(square, initial=0) - square)[:, None]], 1)
    count = max(1, min(round(4 * math.sqrt(len(wide))), len(wide) // 39))  # 39: fewer vectors a cell say too little of where its middle is (faiss)
    made = faiss.IndexIVFFlat(faiss.IndexFlatL2(wide.shape[1]), wide.shape[1], count)
    made.cp.niter, made.cp.min_points_per_centroid, made.cp.max_points_per_centroid = ROUNDS, 1, A_CELL
    made.train(wide)
    made.add(wide)
    return made


def _read(path: Path, shape: tuple[int, ...]) -> Any:
    """What is kept there, memory-mapped; None where it is not whole or of other vectors: then it is made anew."""
    try:
        found = _faiss().read_index(str(path), _faiss().IO_FLAG_MMAP)
    except RuntimeError:  # how faiss says that a file is no index
        return None
    return found if (found.ntotal, found.d - 1) == shape and hasattr(found, "nlist") else None


def _age(path: Path) -> float:
    return -path.stat().st_mtime if path.exists() else 0.0


def _faiss() -> Any:
    if not available():
        raise MissingExtraError("An index of cells", "index")
    import faiss

    return faiss

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
ROUNDS = 8  # of k-means
TRIED = 64  # items that are asked about, to learn how many cells a question has to look at
WANTED = 500  # of whose nearest so many ...
FOUND = 0.99  # ... this share must be found
FIRST = 8  # cells that are looked at, doubled until enough is found
BLOCK = 16  # items that are asked about together
SUFFIX = ".cells"
KEPT = 8  # indexes of a folder, the newest; two versions and their successors


class Cells(Index):
    """An inverted file (Sivic and Zisserman, ICCV 2003; by faiss): 4 sqrt(K) cells of k-means, half-precision vectors in each.

    How many cells a question looks at is measured when the index is made: as many as find 99 of 100 of the 500 items whose products with an item's own vector
    are largest, on average over 64 items. With `among` more are looked at, up to all, until there are k. Products are those of vectors rounded to 16 bits.
    """

    def __init__(self, items: Float[Array, "K H"], folder: Path | None = None) -> None:
        """Make it; where a `folder` is given, the one that is kept there for the same vectors is read instead, or else what is made is left there.

        Raises MissingExtraError without faiss, DataError for vectors that are not finite.
        """
        rows = np.ascontiguousarray(finite(items), np.float32)
        path = None if folder is None else folder / (hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest() + SUFFIX)
        kept = None if path is None or not path.exists() else _read(path, rows.shape)
        self.cells = _made(rows) if kept is None else kept
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
        places, scores = self._looked(asked, k, self.cells.nprobe, bits)
        looked = self.cells.nprobe
        while (lacking := np.flatnonzero((places < 0).any(1))).size and looked < self.cells.nlist:
            looked = min(4 * looked, self.cells.nlist)
            places[lacking], scores[lacking] = self._looked(asked[lacking], k, looked, bits)
        return places, scores

    def _looked(self, asked: Array, k: int, cells: int, bits: Array | None) -> tuple[Array, Array]:
        faiss = _faiss()
        only = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
        scores, places = self.cells.search(asked, k, params=faiss.SearchParametersIVF(nprobe=cells, **only))
        return places, scores

    def __len__(self) -> int:
        return int(self.cells.ntotal)


def available() -> bool:
    """Whether the package behind `Cells` is installed."""
    return importlib.util.find_spec("faiss") is not None


def _made(rows: Array) -> Any:
    faiss = _faiss()
    count = max(1, min(round(4 * math.sqrt(len(rows))), len(rows) // 39 or 1))  # 39: fewer vectors a cell say too little of where its middle is (faiss)
    made = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(rows.shape[1]), rows.shape[1], count, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    made.cp.niter, made.cp.min_points_per_centroid, made.cp.max_points_per_centroid = ROUNDS, 1, A_CELL
    made.train(rows)
    made.add(rows)
    made.nprobe = _enough(made, rows)
    return made


def _enough(made: Any, rows: Array) -> int:
    """How many cells a question has to look at."""
    chosen = rows[np.random.default_rng(0).permutation(len(rows))[:TRIED]]
    k = min(WANTED, len(rows))
    truth = np.concatenate([np.argpartition(-(chosen[a : a + BLOCK] @ rows.T), k - 1, axis=1)[:, :k] for a in range(0, len(chosen), BLOCK)])
    cells = min(FIRST, made.nlist)
    while cells < made.nlist:
        _, places = made.search(chosen, k, params=_faiss().SearchParametersIVF(nprobe=cells))
        if np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(places, truth, strict=True)]) >= FOUND:
            break
        cells = min(2 * cells, made.nlist)
    return int(cells)


def _read(path: Path, shape: tuple[int, ...]) -> Any:
    """What is kept there, memory-mapped; None where it is not whole or of other vectors: then it is made anew."""
    try:
        found = _faiss().read_index(str(path), _faiss().IO_FLAG_MMAP)
    except RuntimeError:  # how faiss says that a file is no index
        return None
    return found if (found.ntotal, found.d) == shape and hasattr(found, "nprobe") else None


def _age(path: Path) -> float:
    return -path.stat().st_mtime if path.exists() else 0.0


def _faiss() -> Any:
    if not available():
        raise MissingExtraError("An index of cells", "index")
    import faiss

    return faiss

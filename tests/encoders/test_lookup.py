import numpy as np
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from banyan.encoders._lookup import lookup
from banyan.features.distinct import Gatherer


def asked(*parts):
    gatherer = Gatherer()
    for part in parts:
        gatherer.add(np.asarray(part, np.int32))
    return gatherer.numbered()


def test_ids_are_numbered_and_found_again():
    parts = [[7, 3, 3, 900], [3, 7, 12], [[900, 0], [0, 3]]]
    distinct, inverse, order, starts, lengths = asked(*parts)
    flat = np.concatenate([np.ravel(p) for p in parts])
    assert distinct.tolist() == sorted(set(flat.tolist()))
    assert distinct[inverse.long()].tolist() == flat.tolist()
    assert lengths == [4, 3, 4]
    ends = [*starts[1:].tolist(), len(flat)]
    for row, a, b in zip(distinct.tolist(), starts.tolist(), ends, strict=True):
        assert order[a:b].tolist() == np.flatnonzero(flat == row).tolist()


def test_no_ids_are_no_rows():
    distinct, inverse, _, _, lengths = asked()
    assert (len(distinct), len(inverse), lengths) == (0, 0, [])
    assert lookup(torch.zeros(0, 4, requires_grad=True), *asked()[1:4]).shape == (0, 4)


def test_the_gradient_is_that_of_an_embedding():
    rng = np.random.default_rng(0)
    distinct, inverse, order, starts, _ = asked(rng.zipf(1.3, 5000) % 300)
    leaf, upstream = torch.randn(len(distinct), 8, requires_grad=True), torch.randn(5000, 8)
    ours = torch.autograd.grad(lookup(leaf, inverse, order, starts), leaf, upstream)[0]
    theirs = torch.autograd.grad(functional.embedding(inverse, leaf), leaf, upstream)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_it_can_be_differentiated_twice_and_in_batches():
    distinct, *places, _ = asked([5, 1, 5, 2, 1, 5])
    leaf = torch.randn(len(distinct), 3, dtype=torch.float64, requires_grad=True)

    def squared(rows):
        return lookup(rows, *places) ** 2

    assert gradcheck(squared, (leaf,), check_batched_grad=True)
    assert gradgradcheck(squared, (leaf,))


def test_the_bits_do_not_depend_on_the_number_of_threads():
    distinct, *places, _ = asked(np.random.default_rng(1).integers(0, 50, 40_000))
    leaf, upstream = torch.randn(len(distinct), 16, requires_grad=True), torch.randn(40_000, 16)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(torch.autograd.grad(lookup(leaf, *places), leaf, upstream)[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)

from __future__ import annotations

import torch

from molnet.nn.distortions import DistortedBatches, Distortion
from molnet.train.arrays import ArrayBatches

STILL = Distortion(rotation=0, scale=0, shear=0, shift=0, elastic=0)


def test_no_distortion_is_the_identity() -> None:
    images = torch.rand((3, 2, 9, 12), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(STILL(images, torch.Generator()), images, atol=1e-5, rtol=1e-5)


def test_elastic_displacements_have_the_size_that_was_asked_for() -> None:
    places = torch.arange(28.0).expand(1, 1, 28, 28).repeat(200, 1, 1, 1)
    moved = Distortion(rotation=0, scale=0, shear=0, shift=0, elastic=1.5)(places, torch.Generator().manual_seed(0))
    change = (moved - places)[..., 8:20, 8:20]
    assert 1.4 < change.std().item() < 1.6
    # Neighboring pixels move together.
    assert change.diff(dim=-1).std().item() < 0.4


def test_epochs_differ_and_validation_stays() -> None:
    images = torch.rand((5, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    labels = torch.arange(5)
    batches = DistortedBatches(ArrayBatches(images, labels, size=2), Distortion(), seed=1)
    assert len(batches) == 3
    assert torch.equal(torch.cat([x for x, _ in batches.epoch(0)]), images)
    one, again, two = (list(batches.epoch(n)) for n in (1, 1, 2))
    assert all(torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(one, again, strict=True))
    rows = {int(label): image for x, y in one for image, label in zip(x, y, strict=True)}
    assert not any(torch.equal(image, rows[int(label)]) for x, y in two for image, label in zip(x, y, strict=True))
    alone = DistortedBatches(ArrayBatches(images, size=2), STILL)
    assert next(alone.epoch(1)).shape == (2, 1, 8, 8)

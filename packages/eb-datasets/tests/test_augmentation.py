"""Random crops and flips against their definition, by brute force."""

import pytest
import torch
from torch import Tensor

from eb_core.testing.verdict import global_random_state_untouched
from eb_datasets.augmentation import Augmentation


def batch(count: int = 40, channels: int = 3, height: int = 7, width: int = 6) -> Tensor:
    """Images whose pixels all differ."""
    return torch.arange(count * channels * height * width, dtype=torch.float64).view(count, channels, height, width)


def views(image: Tensor, padding: int) -> dict[tuple[int, int, bool], Tensor]:
    """Every window of the edge-padded image, as it is and mirrored, by its offset."""
    height, width = image.shape[-2:]
    padded = torch.nn.functional.pad(image[None], (padding,) * 4, mode="replicate")[0]
    found = {}
    for down in range(2 * padding + 1):
        for right in range(2 * padding + 1):
            window = padded[:, down : down + height, right : right + width]
            found[down, right, False], found[down, right, True] = window, window.flip(-1)
    return found


def chosen(augmentation: Augmentation, x: Tensor, seed: int = 0) -> list[tuple[int, int, bool]]:
    """Which view of each image the augmentation gives."""
    augmented = augmentation(x, torch.Generator().manual_seed(seed))
    choices = []
    for image, view in zip(x, augmented, strict=True):
        matches = [key for key, window in views(image, augmentation.padding).items() if torch.equal(window, view)]
        assert len(matches) == 1, "each view is one window of the edge-padded image"
        choices += matches
    return choices


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_every_view_is_a_window_of_the_edge_padded_image_or_its_mirror_image(padding: int, flip: bool) -> None:
    choices = chosen(Augmentation(padding, flip), batch())
    assert any(mirrored for *_, mirrored in choices) == flip


def test_all_shifts_occur_equally_often_and_independently_of_mirroring_and_of_each_other() -> None:
    choices = chosen(Augmentation(1, flip=True), batch(count=1800, channels=1, height=3, width=3))
    counts = [choices.count((down, right, flip)) for down in range(3) for right in range(3) for flip in (False, True)]
    assert sum(counts) == 1800
    assert min(counts) > 60
    assert max(counts) < 140, "100 are expected of each, with a deviation of 10"


def test_without_padding_and_flip_nothing_changes() -> None:
    assert torch.equal(Augmentation(0)(batch(), torch.Generator()), batch())


def test_the_same_generator_state_gives_the_same_views_and_another_one_others() -> None:
    augmentation = Augmentation(2, flip=True)
    first, again, other = (chosen(augmentation, batch(), seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    generator = torch.Generator().manual_seed(1)
    assert not torch.equal(augmentation(batch(), generator), augmentation(batch(), generator)), "a generator moves on"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_shape_type_and_input_are_kept_and_the_global_random_state_is_left_alone(dtype: torch.dtype) -> None:
    x = (batch() % 251).to(dtype)
    before = x.clone()
    with global_random_state_untouched("augmentation"):
        augmented = Augmentation(2, flip=True)(x, torch.Generator().manual_seed(0))
    assert (augmented.shape, augmented.dtype, augmented.device) == (x.shape, x.dtype, x.device)
    assert augmented.is_contiguous()
    assert torch.equal(x, before)


def test_views_are_made_on_the_device_of_the_images_whichever_the_generator_lives_on() -> None:
    for flip in (False, True):
        augmented = Augmentation(2, flip)(batch().to("meta"), torch.Generator("cpu"))
        assert (augmented.device.type, augmented.shape) == ("meta", batch().shape)


def test_images_in_any_memory_layout_give_the_same_views() -> None:
    augmentation = Augmentation(2, flip=True)
    plain, strided = (
        augmentation(x, torch.Generator().manual_seed(3))
        for x in (batch(), batch().contiguous(memory_format=torch.channels_last))
    )
    assert torch.equal(plain, strided)


def test_normalising_before_or_after_augmentation_is_the_same() -> None:
    augmentation = Augmentation(2, flip=True)
    x = batch() / 6000

    def augmented(images: Tensor) -> Tensor:
        return augmentation(images, torch.Generator().manual_seed(4))

    assert torch.equal(augmented((x - 0.3) / 0.6), (augmented(x) - 0.3) / 0.6)

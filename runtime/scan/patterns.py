"""Structure patterns of a picture: its pixels in S groups of similar values, which a person reads as one thing each.

Pixels are grouped by brightness where they are grey. For colour pictures by superpixel: SLIC (Achanta et al. 2012) of
scikit-image, whose groups follow edges.
"""

from __future__ import annotations

import numpy as np

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.extras import import_extra
from seedtune.runtime.scan.images import Images


def patterns_of(images: Images, patterns: int) -> Integers:
    """The pattern of every value of every picture, [N, P] int64 from 0 to ``patterns`` - 1.

    Raises:
        SeedTuneError: the pictures have colours, and scikit-image is not installed.
    """
    count = len(images)
    if images.channels == 1:
        bytes_ = np.round(images.values * 255).astype(np.int64)
        found: Integers = np.minimum(bytes_ * patterns // 256, patterns - 1)
        return found
    segmentation = import_extra("skimage.segmentation", "scan", "attack spa on colour pictures")
    shape = (count, images.channels, images.height, images.width)
    pictures = images.values.reshape(shape).transpose(0, 2, 3, 1)
    of_pixels = np.stack(
        [
            segmentation.slic(picture, n_segments=patterns, compactness=10.0, start_label=0, channel_axis=-1)
            for picture in pictures
        ]
    )
    flat = np.minimum(of_pixels.reshape(count, 1, -1), patterns - 1)
    return np.ascontiguousarray(np.broadcast_to(flat, (count, images.channels, flat.shape[-1])).reshape(count, -1))

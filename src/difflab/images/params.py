"""Parameters of the data: where archives come from, the split, the preparing stages, attribute balancing."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Group


class ArchiveParams(Group):
    """Where one official archive comes from."""

    source: Literal["bundled", "data_root", "download"] = Field(
        description="bundled: build the miniature; data_root: take it where it lies; download: fetch `url`"
    )
    path: str = Field(min_length=1, description="archive or unpacked folder, relative to data.data_root")
    url: str | None = Field(description="http(s) address for source=download")
    sha256: str | None = Field(
        pattern="^[0-9a-f]{64}$", description="expected hash; null accepts any content"
    )


class DataParams(Group):
    """`data`: the archives."""

    data_root: str | None = Field(
        description="folder of archives; the environment variable DIFFLAB_DATA wins"
    )
    celeba_hq: ArchiveParams
    celeba: ArchiveParams
    cifar10: ArchiveParams
    mnist: ArchiveParams
    scenes: ArchiveParams
    coco: ArchiveParams
    recipes: ArchiveParams


class StratifyParams(Group):
    """`split.stratify`: attributes whose combinations keep their share in each part, by data set."""

    miniature: tuple[str, ...] = Field(description="used by the zoo too, which holds out the same images")
    celeba: tuple[str, ...]


class SplitParams(Group):
    """`split`: train, val and test of CelebA-HQ."""

    val_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32, description="random_state of scikit-learn's train_test_split")
    stratify: StratifyParams
    max_rows: int | None = Field(
        ge=10, description="take the first rows of the attribute table only; null: all"
    )

    @model_validator(mode="after")
    def _leaves_training_images(self) -> "SplitParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1")
        return self


class PrepareParams(Group):
    """`prepare`: what the preparing stages keep."""

    absent_images: Literal["error", "skip"] = Field(
        description="images that the table lists and the archive lacks"
    )
    unreadable_images: Literal["stop", "skip"] = Field(description="images that cannot be decoded")
    min_side: int = Field(ge=1, description="CelebA: smallest side, pixels, of an image that is kept")
    max_celeba_images: int | None = Field(ge=0, description="CelebA: keep the first images only; null: all")
    num_workers: int = Field(ge=1, description="processes that decode and crop; never changes the result")


class BalanceParams(Group):
    """`balance`: sampling weights that bring every attribute of the training images near `target`."""

    enabled: bool
    target: float = Field(gt=0, lt=1, description="wanted share of each attribute")
    minimum: float = Field(gt=0, le=1, description="smallest weight before rescaling")
    maximum: float = Field(ge=1, description="largest weight before rescaling")
    mean_penalty: float = Field(ge=0, description="weight of (mean x - 1)^2")
    spread_penalty: float = Field(gt=0, description="weight of mean (x - 1)^2")

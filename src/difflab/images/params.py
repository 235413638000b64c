"""Parameters of the data: where archives come from, the split, the preparing stages, the image sets, balancing."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Distinct, Family, Group


class ArchiveParams(Group):
    """Where one official archive comes from."""

    source: Literal["bundled", "data_root", "download", "own"]
    path: str = Field(min_length=1)
    url: str | None
    sha256: str | None = Field(pattern="^[0-9a-f]{64}$")


class DataParams(Family):
    """`data`: the archives."""

    data_root: str | None = Field(min_length=1)
    own: str | None = Field(min_length=1)
    celeba_hq: ArchiveParams
    celeba: ArchiveParams
    cifar10: ArchiveParams
    mnist: ArchiveParams
    scenes: ArchiveParams
    coco: ArchiveParams
    recipes: ArchiveParams
    subjects: ArchiveParams

    @model_validator(mode="before")
    @classmethod
    def _own_pictures_are_named(cls, values: Any) -> Any:
        """Before `path`, which the experiment takes from `own`, is refused for being null."""
        common = values.get("common", {})
        own = [n for n in cls.groups() if isinstance(g := values.get(n), dict) and (common | g).get("source") == "own"]
        if other := [name for name in own if name != "celeba_hq"]:
            raise ValueError(f"{other[0]}.source is own: pictures of one's own stand in for celeba_hq alone")
        if own and not values.get("own"):
            raise ValueError("own is null: give the folder (zip, tar) of your pictures, -S data.own=/path/to/pictures")
        return values


class StratifyParams(Group):
    """`split.stratify`: attributes whose combinations keep their share in each part, by data set."""

    miniature: Distinct[str]
    celeba: Distinct[str]


class SplitParams(Group):
    """`split`: train, val and test of CelebA-HQ."""

    val_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)
    stratify: StratifyParams
    max_rows: int | None = Field(ge=10)

    @model_validator(mode="after")
    def _leaves_training_images(self) -> "SplitParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1")
        return self


class PrepareParams(Group):
    """`prepare`: what the preparing stages keep."""

    absent_images: Literal["error", "skip"]
    unreadable_images: Literal["stop", "skip"]
    min_side: int = Field(ge=1)
    max_celeba_images: int | None = Field(ge=0)
    num_workers: int = Field(ge=1, le=1024)


class ImageSizeParams(Group):
    """`images.image_size`: side of the prepared square images in pixels."""

    cifar10: int = Field(ge=8, le=32)
    mnist: int = Field(ge=8, le=28)
    scenes: int = Field(ge=8, le=4096)
    coco: int = Field(ge=8, le=4096)
    recipes: int = Field(ge=8, le=4096)


class MaxImagesParams(Group):
    """`images.max_images`: the first images of each split only; null: all."""

    cifar10: int | None = Field(ge=1)
    mnist: int | None = Field(ge=1)
    scenes: int | None = Field(ge=1)
    coco: int | None = Field(ge=1)
    recipes: int | None = Field(ge=1)


class ImagesParams(Group):
    """`images`: the sets that models are trained on from nothing."""

    image_size: ImageSizeParams
    max_images: MaxImagesParams
    non_square: Literal["crop", "error"]
    scenes_test_fraction: float = Field(gt=0, lt=1)
    caption_column: str | None = Field(min_length=1)


class BalanceParams(Group):
    """`balance`: sampling weights that bring every attribute of the training images near `target`."""

    enabled: bool
    target: float = Field(gt=0, lt=1)
    minimum: float = Field(gt=0, le=1)
    maximum: float = Field(ge=1)
    mean_penalty: float = Field(ge=0)
    spread_penalty: float = Field(gt=0)


class CheckParamsInputs:
    """`check_params` stands for no group: it checks the whole file."""


class AcquireInputs:
    """What `acquire` reads of params.yaml, as dvc.yaml declares it."""

    data: DataParams


class AcquireImagesInputs:
    """Of a group with names beside it only these parts are read, here and below."""

    data: Annotated[DataParams, "data_root", "cifar10", "mnist", "scenes", "coco", "recipes", "subjects"]


class PrepareCelebaInputs:
    data: Annotated[DataParams, "data_root"]
    prepare: PrepareParams


class PrepareCelebaHqInputs(PrepareCelebaInputs):
    split: SplitParams


class PrepareImagesInputs:
    data: Annotated[DataParams, "data_root"]
    prepare: Annotated[PrepareParams, "absent_images", "unreadable_images", "num_workers"]
    images: ImagesParams

"""The samples that blocks are ranked and tuned on."""

from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError
from difflab.sd3.training.examples import Examples, caption_rows

if TYPE_CHECKING:
    from difflab.core.base.store.image_store import ImageStore
    from difflab.sd3.artifacts.prompt_embeds import PromptTable
    from difflab.sd3.training.latents import LatentTable


def first_examples(
    store: "ImageStore", latents: "LatentTable", prompts: "PromptTable", split: str, count: int | None, captions: str
) -> Examples:
    """The first samples of a split (None: all) with captions of one kind.

    Raises:
        DifflabError: the split has fewer.
    """
    ids = store.split(split)
    if count is not None and len(ids) < count:
        raise DifflabError(f"{count} images of the {split} split are asked for, and it has {len(ids)}: ask for fewer")
    ids = ids[:count]
    latents.check_images(store, ids)
    return Examples(latents, prompts, ids, caption_rows(prompts, ids, captions))

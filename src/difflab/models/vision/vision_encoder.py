"""The vision encoder: a ViT with linear heads that name classes of a picture.

BLIP-2 looks through it, and its features and classes score generated images. Files: a `ViTModel` in
`save_pretrained` layout and heads.safetensors beside it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_tensor_facts, read_tensors
from difflab.core.base.pretrained import pretrained_model
from difflab.models.vision.preprocessing import Preprocessor

HEADS = "heads.safetensors"


class VisionEncoder(nn.Module):
    """A `ViTModel` whose mean token is the feature, and a linear head for each set of classes.

    `classes` are the names of the classes in the order of the logits, by head; empty for a ViT without heads.
    `preprocess` makes what the network sees of pictures.
    """

    def __init__(
        self, vit: nn.Module, classes: Mapping[str, tuple[str, ...]], preprocess: Preprocessor | None = None
    ) -> None:
        super().__init__()
        self.vit, self.classes = vit, dict(classes)
        self.preprocess = preprocess or Preprocessor("", vit.config.image_size)
        self.heads = nn.ModuleDict({head: nn.Linear(self.dim, len(names)) for head, names in classes.items()})

    @property
    def dim(self) -> int:
        return self.vit.config.hidden_size

    @property
    def image_size(self) -> int:
        return self.vit.config.image_size

    def features(self, images: Tensor) -> Tensor:
        """The mean of the last layer's tokens [n, dim]; images [n, 3, S, S] as `preprocess` makes them."""
        return self.vit(pixel_values=images).last_hidden_state.mean(dim=1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits [n, classes] of every head."""
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}


def save(folder: str | Path, vision_encoder: VisionEncoder) -> None:
    """Write the ViT and the heads into `folder`, in their precision; the same bytes for the same weights."""
    from safetensors.torch import save_file

    vision_encoder.vit.save_pretrained(folder)
    heads = {name: value.detach().cpu().contiguous() for name, value in vision_encoder.heads.state_dict().items()}
    save_file(heads, Path(folder) / HEADS, metadata={"classes": json.dumps(vision_encoder.classes)})


def load(folder: str | Path, *, trained_here: bool = True) -> VisionEncoder:
    """Read a vision encoder, float32, in eval mode; a folder with a ViT alone (as on the Hub) gives one without heads.

    One that was not `trained_here` must say how it sees pictures (`preprocessing.Preprocessor`).
    """
    import torch
    from transformers.models.vit.modeling_vit import ViTModel

    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise DifflabError(f"{folder} holds no vision encoder: run `dvc repro zoo_vision_encoder` (or `dvc pull`)")
    vit = pretrained_model(ViTModel, folder, dtype=torch.float32, add_pooling_layer=False, local_files_only=True)
    preprocess = Preprocessor(folder, vit.config.image_size, trained_here=trained_here)
    if not (folder / HEADS).exists():
        return VisionEncoder(vit, {}, preprocess).eval()
    weights, facts = read_tensors(folder / HEADS), read_tensor_facts(folder / HEADS)
    with reading(folder / HEADS, f"`dvc checkout {folder}` restores it"):
        classes = {head: tuple(map(str, names)) for head, names in json.loads(facts["classes"]).items()}
        vision_encoder = VisionEncoder(vit, classes, preprocess)
        vision_encoder.heads.load_state_dict(weights)
    return vision_encoder.eval()

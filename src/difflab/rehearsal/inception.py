"""pytorch-fid's Inception-v3 with random weights, under the name of the released file."""

from pathlib import Path

from difflab.core.base.files import atomic_path


def write(path: Path) -> None:
    """Write the state dict (95 MB) as it is released: a file of tensors alone."""
    import torch
    from pytorch_fid import inception

    if path.exists():
        return
    torch.manual_seed(0)
    network = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    for name, inner, pooled in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
        setattr(network, name, inception.FIDInceptionA(inner, pooled))
    for name, inner in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        setattr(network, name, inception.FIDInceptionC(768, inner))
    network.Mixed_7b, network.Mixed_7c = inception.FIDInceptionE_1(1280), inception.FIDInceptionE_2(2048)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        torch.save(network.state_dict(), temporary)

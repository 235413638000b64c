"""Values of one group that another group's value rules out; each check says so in one line with the remedy."""

from typing import TYPE_CHECKING

from difflab.ddpm.common.settings import DATASETS, SINGLE

if TYPE_CHECKING:
    from difflab.study import Params

_LEVELS = 1000  # of noise, which the models that are trained here and those of Stable Diffusion learn
_LEAST_REACH = 0.95  # of the levels, as `difflab.models.sampling.schedulers.refusal`


def check_limits(params: "Params") -> None:
    """Refuse what a stage would refuse later, as a ValueError."""
    for check in (_released_together, _texts_of_one_length, _splits, _pipelines, _series, _captioner):
        check(params)


def _released_together(params: "Params") -> None:
    zoo = params.zoo
    if zoo.transformer.hub is not None:
        for name, role in (("vae", zoo.vae), ("text", zoo.text)):
            if role.hub is None:
                raise ValueError(
                    f"zoo.transformer.hub is {zoo.transformer.hub.repo_id} and zoo.{name}.hub is null: a released "
                    "transformer reads what its own autoencoder and text encoders make; give all three"
                )


def _texts_of_one_length(params: "Params") -> None:
    trained, cached = params.zoo.transformer.max_sequence_length, params.cache.prompts.max_sequence_length
    if params.zoo.transformer.hub is None and trained != cached:
        raise ValueError(
            f"cache.prompts.max_sequence_length is {cached}, and zoo.transformer.max_sequence_length {trained}: the base "
            "reads prompts as long as those that it was trained on; give both the same"
        )


def _splits(params: "Params") -> None:
    if params.split.max_rows is not None:
        check_split(params, params.split.max_rows)


def check_split(params: "Params", rows: int) -> None:
    """Refuse, as a ValueError, parts of so many rows that are too small to be scored."""
    split, score = params.split, params.score
    shares = {"val": split.val_fraction, "test": split.test_fraction}
    shares["train"] = 1 - sum(shares.values())
    needed = [(score.reference_split, 6)]  # density and coverage look at five neighbours
    needed += [(name, score.min_images) for name in (score.floor_split, params.generate.split)]
    for name, least in needed:
        if (count := round(shares[name] * rows)) < least:
            raise ValueError(
                f"of {rows:,} rows the split {name} gets {count}, and score needs {least} of it: raise split.max_rows or "
                f"split.{name}_fraction, or lower score.min_images (to 4 at least)"
            )


def _pipelines(params: "Params") -> None:
    """What the small Stable Diffusion that is trained here cannot be asked for."""
    dropout = params.zoo.diffusion.prompt_dropout
    if params.personal.base.hub is None:
        base = params.personal.base
        if base.scheduler == "flow-match":
            raise ValueError("personal.base.scheduler is flow-match, and its base is no flow model: take ddim or euler")
        if base.guidance_scale != 1 and dropout == 0:
            raise ValueError(
                f"personal.base.guidance_scale is {base.guidance_scale:g}, but zoo.diffusion.prompt_dropout is 0: the "
                "base never learns to do without its prompt, which guidance leads away from; set the scale to 1"
            )
        _check_reach("personal.base", base.scheduler, base.num_inference_steps)
    if params.zoo.diffusion.hub is None:
        _check_reach("synthesize", params.synthesize.scheduler, params.synthesize.num_inference_steps)


def _check_reach(group: str, scheduler: str, steps: int) -> None:
    """DDIM steps by whole numbers of levels: some numbers of steps never see the noisiest ones."""
    reach = _LEVELS // steps * steps
    if scheduler == "ddim" and reach < _LEAST_REACH * _LEVELS:
        divisor = next(n for n in range(steps, _LEVELS + 1) if _LEVELS % n == 0)
        raise ValueError(
            f"{group}.num_inference_steps is {steps}, which cover {reach} of {_LEVELS} levels of noise by ddim: "
            f"take {divisor}"
        )


def _series(params: "Params") -> None:
    for name in SINGLE:
        most = params.images.max_images[DATASETS[name]]
        if most is not None and params.ddpm[name].image >= most:
            raise ValueError(
                f"ddpm.{name}.image is {params.ddpm[name].image}, and images.max_images.{DATASETS[name]} {most}: images "
                "are counted from 0"
            )
    size, halvings = params.images.image_size.cifar10, len(params.zoo.image_vae.block_out_channels) - 1
    if size % 2**halvings:
        raise ValueError(
            f"images.image_size.cifar10 is {size}, which zoo.image_vae cannot halve {halvings} times: give its "
            "block_out_channels fewer widths"
        )
    side, unet = size // 2**halvings, params.ddpm.latent.unet
    unit = unet.patch_size * 2 ** (len(unet.block_out_channels) - 1)
    if side % unit:
        raise ValueError(
            f"ddpm.latent.unet reads latents of {side} x {side}, which must be a multiple of {unit}: patches of "
            f"{unet.patch_size}, halved {len(unet.block_out_channels) - 1} times"
        )


def _captioner(params: "Params") -> None:
    most = params.images.max_images.recipes
    listed = [size for size in params.captioner.originals if size is not None]
    if most is not None and listed and max(listed) >= most:
        raise ValueError(
            f"captioner.originals lists {max(listed)}, but images.max_images.recipes is {most}, of which some are left "
            "out to validate and test: list fewer; null is all"
        )

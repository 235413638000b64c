"""What each stage on released models takes: time, money, memory of the GPU and of the host, and disk, before it runs.

Operations are counted (`difflab.cli.work`); what a GPU makes of them is assumed, and stands in the group `hardware`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from difflab.cli import work
from difflab.cli.cost import Cost, speed
from difflab.cli.own_folder import count_own
from difflab.cli.personal_costs import personal_cost
from difflab.cli.times import read_run
from difflab.cli.work import BLIP2_T5, GEMMA_1B, LLAMA_1B, LLAMA_8B, LLAVA_7B, TEXT_ENCODERS, Language
from difflab.report.summary import WRITTEN
from difflab.sd3.artifacts.cells import ADAPTERS, OWN
from difflab.sd3.blocks.ways import WAYS

CELEBA_HQ, CELEBA_ADDITION, RECIPES = 30_000, 6_000, 13_471  # rows of the tables; about as many pass a side of 768
LAYER_SECONDS, BANDWIDTH_SHARE = (
    0.5e-3,
    0.6,
)  # host's work for a layer of a decoding step; share of the card's bandwidth
PNG_MB, PNG_SECONDS, READ_SECONDS, WRITE_MB_PER_S = 1.8, 0.31, 0.03, 400  # of a picture of 1024 px; of a disk
TRAINED_BYTES = 16  # of a trained number: float32, its gradient and AdamW's two moments
COPIED_GB_PER_S, CUT_SECONDS = (
    2.0,
    1.8,
)  # attention layers to the host, and reduced there; a cut of 4,096 patches on a core
SIGMAS = 5  # at which the held-out loss is measured
DECODE_GB, ENCODE_GB = 3.1, 2.65  # an autoencoder in float32 for each picture of 1024 px
HEAD = f"{'stage':<20} {'hours':>6} {'price':>7} {'GPU GB':>7} {'host GB':>8} {'disk GB':>8}   measured"


def costs(params: Any, cells: Iterable[str]) -> list[Cost]:
    """The costs of the stages that run released models, in the order of the pipeline; none where there are none."""
    if params.zoo.transformer.hub is None:
        return []
    study = _Study(params, list(cells))
    return [
        *study.captions(),
        *study.caches(),
        *study.fine_tuning(),
        *study.sampling(),
        *study.blocks(),
        *study.attention(),
        *study.recipes(),
        *filter(None, [personal_cost(params)]),
    ]


def split_rows(params: Any) -> tuple[int, int]:
    """How many images the SD3 study has: those that are split, and those that are added for training."""
    data, most, added = params.data, params.split.max_rows, params.prepare.max_celeba_images
    if data.celeba_hq.source == "own":
        return min(most or CELEBA_HQ, count_own(data.celeba_hq.path)), 0
    return most or CELEBA_HQ, CELEBA_ADDITION if added is None else added


class _Study:
    """The counts of a study's pictures, and the costs that follow from them."""

    def __init__(self, params: Any, cells: list[str]) -> None:
        self.params, self.cells, self.hardware = params, cells, params.hardware
        rows, addition = split_rows(params)
        self.images, self.kinds = rows + addition, len(WRITTEN) + (params.trained_on[OWN] == OWN)
        self.held_out = {
            "val": round(rows * params.split.val_fraction),
            "test": round(rows * params.split.test_fraction),
        }
        self.side, self.trainings = params.cache.latents.image_size, len(params.finetune.seeds)
        self.text = 77 + params.cache.prompts.max_sequence_length
        self.area = (self.side / 1024) ** 2
        self.forward = work.transformer(self.side, self.text)

    def captions(self) -> Iterator[Cost]:
        blip2, llama = self.params.caption.blip2, self.params.caption.llama3
        reading = self.images * READ_SECONDS
        yield Cost("caption_blip2", reading + self._written(BLIP2_T5, self.images, 300, 20, blip2.batch_size),
                   BLIP2_T5.gigabytes + _cache(BLIP2_T5, blip2.batch_size, 60) + 1, host=10)  # fmt: skip
        yield Cost("caption_llama3", self._written(LLAMA_8B, self.images, 350, llama.max_new_tokens, llama.batch_size),
                   LLAMA_8B.gigabytes + _cache(LLAMA_8B, llama.batch_size, 450) + 0.5, host=18)  # fmt: skip

    def caches(self) -> Iterator[Cost]:
        latents, prompts = self.params.cache.latents, self.params.cache.prompts
        encoded = self.images * (1 + latents.mirror) * work.autoencoder(self.side, decode=False)
        size = self.images * (0.786 + 0.262 * latents.mirror) * self.area / 1000
        yield Cost("cache_latents", encoded / self._speed(self.hardware.float32_tflops, sampling=True),
                   0.4 + ENCODE_GB * self.area * _together(latents), disk=size, scratch=size)  # fmt: skip
        captions = self.kinds * self.images
        stored = captions * (77 * 4096 + prompts.max_sequence_length * 8192 + 4096) / 1e9
        embedded = (
            captions * TEXT_ENCODERS.forward(self.text / 2) / self._speed(self.hardware.bfloat16_tflops, sampling=True)
        )
        gpu = 9.5 if prompts.offload else TEXT_ENCODERS.gigabytes
        yield Cost("cache_prompts", embedded + 1000 * stored / WRITE_MB_PER_S, gpu + 0.5, host=12, disk=stored)

    def fine_tuning(self) -> Iterator[Cost]:
        settings = self.params.finetune
        training, lora = settings.training, settings.lora
        images = training.steps * training.batch_size * training.gradient_accumulation_steps
        backward = 2 + training.gradient_checkpointing
        validations = (1 + training.steps // training.validation_interval) * settings.validation_samples * 5
        each = images * backward * 1.06 * self.forward / self._speed(self.hardware.bfloat16_tflops, sampling=False)
        each += validations * self.forward / self._speed(self.hardware.bfloat16_tflops, sampling=True)
        cells = sum(cell.startswith("finetune@") for cell in self.cells)
        adapter = self._adapter(lora)
        yield Cost("finetune", cells * self.trainings * each, self._training_memory(lora),
                   host=8, disk=cells * self.trainings * (1 + len(settings.adapter_steps)) * adapter / 4)  # fmt: skip

    def _adapter(self, lora: Any) -> float:
        """GB of an adapter in training, with its gradient and AdamW's moments."""
        blocks = work.SD3_LAYERS if lora.blocks == "all" else len(lora.blocks)
        return blocks * 8 * 2 * work.SD3_WIDTH * lora.rank * TRAINED_BYTES / 1e9

    def _training_memory(self, lora: Any) -> float:
        """GB of a fine-tuning: the base, the adapter, and what a batch keeps for the backward pass."""
        training, layers = self.params.finetune.training, work.SD3_LAYERS
        kept = ((self.side // 16) ** 2 + self.text) * work.SD3_WIDTH / 1e9
        held = (4 * layers + work.ACTIVATION) if training.gradient_checkpointing else work.ACTIVATION * layers
        weights = {"full": 4.1, "8bit": 2.1, "4bit": 1.2}[self.params.finetune.base]
        return weights + self._adapter(lora) + 0.5 + training.batch_size * kept * held

    def sampling(self) -> Iterator[Cost]:
        settings, cells = self.params.generate, [c for c in self.cells if c.startswith("generate")]
        each = self.held_out.get(settings.split, self.images) if settings.num_images is None else settings.num_images
        archives = self.kinds * (len(cells) or 4) * self.trainings * len(settings.seeds)
        gpu = 4.6 + 0.15 * settings.batch_size * self.area + DECODE_GB * self.area * _together(settings)
        size = archives * each * PNG_MB * self.area / 1000
        made = self._pictures(archives * each, settings.num_inference_steps, settings.guidance_scale)
        encoding = archives * each * PNG_SECONDS * self.area / self.params.runtime.num_threads
        yield Cost("generate", max(made, encoding), gpu, disk=size, scratch=size / max(1, len(cells)))
        scored = archives * each + sum(self.held_out.values())
        yield Cost("score", scored * 2 * READ_SECONDS, 2, host=4)
        guided, steps = self.params.guidance_curve, self.params.step_curve
        yield Cost("guidance_curve", self.trainings * sum(
            self._pictures(guided.num_images, settings.num_inference_steps, scale) for scale in guided.guidance_scales
        ), gpu)  # fmt: skip
        points = 1 + len(self.params.finetune.adapter_steps)
        made = self._pictures(points * steps.num_images, settings.num_inference_steps, settings.guidance_scale)
        yield Cost("step_curve", self.trainings * made, gpu)

    def blocks(self) -> Iterator[Cost]:
        """Ranking the blocks of the base and tuning sets of them; of the sets, the most that there can be."""
        blocks, sampling, settings = self.params.blocks, self.params.generate, self.params.finetune
        layers, levels, ways = work.SD3_LAYERS, SIGMAS + sampling.num_inference_steps, len(WAYS)
        cells = 1 + ways * layers
        passes = cells * blocks.held_out_samples * SIGMAS + blocks.mean_samples * levels
        measured = passes * self.forward / self._speed(self.hardware.bfloat16_tflops, sampling=True)
        made = self._pictures(cells * blocks.ablated_images, sampling.num_inference_steps, sampling.guidance_scale)
        gpu = 4.6 + 0.15 * sampling.batch_size * self.area + DECODE_GB * self.area * _together(sampling)
        tokens = (self.side // 16) ** 2 + self.text
        means = 2 * layers * levels * tokens * work.SD3_WIDTH / 1e9  # of mean ablation, in bfloat16
        yield Cost("rank_blocks", measured + made, gpu, host=4 + means)
        trainings = (2 * ways + blocks.random_sets) * len(blocks.seeds)
        made = self._pictures(trainings * blocks.num_images, sampling.num_inference_steps, sampling.guidance_scale)
        training = settings.training
        images = blocks.steps * training.batch_size * training.gradient_accumulation_steps
        trained = images * (2 + training.gradient_checkpointing) * self.forward
        trained /= self._speed(self.hardware.bfloat16_tflops, sampling=False)
        lora = settings.lora.model_copy(update={"blocks": list(range(blocks.k))})
        yield Cost("tune_blocks", trainings * trained + made, max(gpu, self._training_memory(lora)), host=8)

    def attention(self) -> Iterator[Cost]:
        """Looking at real pictures with the base and the adapters: layers are copied to the host and reduced there."""
        looks, layers = self.params.attention_maps, work.SD3_LAYERS
        shown = self.held_out.get(self.params.generate.split, self.images)
        shown = shown if looks.num_images is None else min(shown, looks.num_images)
        count, patches = len(ADAPTERS) * self.trainings * shown, (self.side // 16) ** 2
        levels = looks.num_inference_steps
        read = 4 * 4 * layers * levels * (patches + self.text) * work.SD3_WIDTH / (1e9 * COPIED_GB_PER_S)
        cuts = 0.5 * layers * CUT_SECONDS * patches / 4096 / (1 + self.params.runtime.num_threads / 2)
        seen = levels * self.forward / self._speed(self.hardware.bfloat16_tflops, sampling=True)
        held = 4 * layers * patches * work.SD3_WIDTH / 1e9  # of a picture's features
        yield Cost("attention_maps", count * (seen + read + cuts), 4.6 + 0.3 * looks.batch_size * self.area,
                   host=6 + held * (2 * looks.batch_size + 2 * looks.shown))  # fmt: skip

    def recipes(self) -> Iterator[Cost]:
        titles, made, captioner = self.params.titles, self.params.synthesize, self.params.captioner
        titled = RECIPES * (1 - self.params.mix.test_fraction)
        yield Cost("vary_titles", self._written(GEMMA_1B, titled, 120, titles.max_new_tokens, titles.batch_size),
                   GEMMA_1B.gigabytes + _cache(GEMMA_1B, titles.batch_size, 380) + 2)  # fmt: skip
        count, area = 3 * titled, (work.SD21_SIDE / 1024) ** 2
        passes = made.num_inference_steps * (1 + (made.guidance_scale != 1))
        each = passes * work.SD21_UNET + work.autoencoder(work.SD21_SIDE, decode=True)
        decoding = DECODE_GB / 2 * area * _together(made)
        yield Cost("synthesize", count * each / self._speed(self.hardware.bfloat16_tflops, sampling=True),
                   (1.8 if made.offload else 2.6) + 0.3 * made.batch_size + decoding,
                   disk=count * 0.05 / 1000, scratch=count * PNG_MB * area / 1000)  # fmt: skip
        sweep = self.params.sweep
        largest = 16.3 if sweep.offload else 27.6  # its transformer, or all of Stable Diffusion 3.5 Large
        seconds = 3600 * 989 / self.hardware.bfloat16_tflops  # an hour of an H100
        yield Cost("sweep", seconds, largest + 0.3 * sweep.batch_size + DECODE_GB / 2 * _together(sweep),
                   host=30 if sweep.offload else 16)  # fmt: skip
        trainings = 3 * len(captioner.originals) * len(captioner.seeds)
        tokens = 230 / captioner.patch_pooling**2
        trained = trainings * captioner.training.steps * captioner.training.batch_size * 2.2 * LLAMA_1B.forward(tokens)
        held = captioner.training.batch_size * tokens * work.ACTIVATION * 2048 * LLAMA_1B.layers / 1e9
        seen = 4 * titled * 197 * 768 * 4 / captioner.patch_pooling**2 / 1e9
        yield Cost("captioner", trained / self._speed(self.hardware.bfloat16_tflops, sampling=False),
                   LLAMA_1B.gigabytes + held + 1, host=6 + seen)  # fmt: skip
        asked, test = self.params.captioner_instruct, RECIPES * self.params.mix.test_fraction
        yield Cost("captioner_instruct", self._written(LLAVA_7B, test, 620, asked.max_new_tokens, asked.batch_size),
                   LLAVA_7B.gigabytes + _cache(LLAVA_7B, asked.batch_size, 660) + 0.5, host=16)  # fmt: skip

    def _speed(self, tflops: float, *, sampling: bool) -> float:
        """Operations a second that are expected of the hardware."""
        return speed(self.hardware, tflops, sampling=sampling)

    def _pictures(self, count: int, steps: int, guidance: float) -> float:
        """Seconds of so many pictures of SD3; guidance takes a second pass for the empty prompt."""
        denoised = (
            count
            * steps
            * (1 + (guidance != 1))
            * self.forward
            / self._speed(self.hardware.bfloat16_tflops, sampling=True)
        )
        decoded = count * work.autoencoder(self.side, decode=True)
        return denoised + decoded / self._speed(self.hardware.tf32_tflops, sampling=True)

    def _written(self, model: Language, count: float, read: int, tokens: int, batch_size: int) -> float:
        """Seconds of so many answers: a step of decoding reads all weights, or waits for the host."""
        read_seconds = count * model.forward(read) / self._speed(self.hardware.bfloat16_tflops, sampling=True)
        step = max(model.layers * LAYER_SECONDS, model.gigabytes / (self.hardware.bandwidth_gb_per_s * BANDWIDTH_SHARE))
        return read_seconds + count / batch_size * tokens * step


def _together(settings: Any) -> float:
    """How many pictures an autoencoder holds at a time."""
    return {"whole": settings.batch_size, "sliced": 1, "tiled": 0.25}[settings.vae]


def _cache(model: Language, batch_size: int, tokens: int) -> float:
    return batch_size * tokens * model.cache / 1e9


def costs_table(params: Any, cells: Iterable[str], root: Path = Path()) -> str:
    """The table of `costs` with its sums and what does not fit the card; beside it what the last run here took.

    Empty where no stage runs released models.
    """
    found, hardware = costs(params, cells), params.hardware
    if not found:
        return ""
    memory, price = params.hardware.memory_gb, params.hardware.price_per_hour
    shares = f"{hardware.training_utilisation:.0%} in training, {hardware.sampling_utilisation:.0%} in sampling"
    lines = [f"on a card of {memory:g} GB, {hardware.bfloat16_tflops:g} TFLOPS ({shares}), {price:g} an hour:", HEAD]
    for cost in found:
        hours = cost.seconds / 3600
        figures = f"{hours:>6.1f} {hours * price:>7.0f} {cost.gpu:>7.1f} {cost.host:>8.0f} {cost.disk:>8.0f}"
        lines.append(f"{cost.stage:<20} {figures}   {measured(cost.stage, root)}".rstrip())
    hours, disk = sum(cost.seconds for cost in found) / 3600, sum(cost.disk for cost in found)
    gpu, host, scratch = (max(getattr(cost, name) for cost in found) for name in ("gpu", "host", "scratch"))
    sums = f"{hours:>6.0f} {hours * price:>7.0f} {gpu:>7.1f} {host:>8.0f} {disk:>8.0f}"
    lines.append(f"{'together':<20} {sums}   disk at its peak {disk + scratch:.0f} GB, beside models and archives")
    if large := [cost.stage for cost in found if cost.gpu > memory]:
        lines.append(f"does not fit {memory:g} GB: {', '.join(large)}; -S hardware=24gb|48gb|80gb takes what fits")
    return "\n".join(lines)


def measured(stage: str, root: Path = Path()) -> str:
    """What the last finished run of a stage's cells took here: hours of all, the most memory of any."""
    runs = [
        read_run(path) for path in sorted((root / ".scratch/times").glob("*.json")) if path.stem.split("@")[0] == stage
    ]
    runs = [run for run in runs if run.get("status") == "FINISHED"]
    if not runs:
        return ""
    text = f"{sum(run['seconds'] for run in runs) / 3600:.2f} h"
    for name, key in (("GPU", "gpu_gb"), ("host", "host_gb")):
        if peaks := [run[key] for run in runs if key in run]:
            text += f", {name} {max(peaks):.1f} GB"
    return text

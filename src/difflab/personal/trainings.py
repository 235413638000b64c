"""One training of the study from its pictures to its measures: what is shared by all, and what a cell does with it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.core.base import rng
from difflab.core.base.files import read_json, write_json
from difflab.metrics.features.features import extract_and_classify, judged_classes
from difflab.models.pipelines.prompted import Options, PromptedSampler
from difflab.personal import methods
from difflab.personal.judging import Made, References, SubjectJudge, cosines, measures
from difflab.personal.priors import ClassImages
from difflab.personal.subject_training import Pictures, Preservation, mask_weights, train_subject
from difflab.personal.words import learned_text
from difflab.training.seeds import Save, named_log, save_curve

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.images.facts.data_set import ClassSet
    from difflab.metrics.clip_score import ClipScorer
    from difflab.metrics.features.features import VisionEncoderExtractor
    from difflab.personal.base import Base
    from difflab.personal.cells import Cell
    from difflab.personal.image_encoders import ImageEncoder
    from difflab.personal.params import PersonalParams
    from difflab.personal.subjects import Subject
    from difflab.training.loop import Log

RESULT, SHOWN = "result.json", "shown.npy"


class Study:
    """The base, the subjects and the judge of all trainings.

    Args:
        base: a fresh one; trainings work on copies.
        extractor: the vision encoder that judges.
        class_sets: what prompts may name and heads may see, see `judging.class_sets_named`.
        origin: fingerprint of the base.
        encoders: further encoders by the measure that their similarity is, "dino" and "clip_image".
        clip_text: the CLIP score of pictures and their prompts.
    """

    def __init__(
        self,
        base: "Base",
        subjects: "Sequence[Subject]",
        extractor: "VisionEncoderExtractor",
        class_sets: "Sequence[ClassSet]",
        params: "PersonalParams",
        *,
        seed: int,
        origin: str,
        encoders: "Mapping[str, ImageEncoder] | None" = None,
        clip_text: "ClipScorer | None" = None,
    ) -> None:
        self.base, self.extractor, self.params, self.seed, self.origin = base, extractor, params, seed, origin
        self.encoders, self.clip_text = encoders or {}, clip_text
        self.subjects = {subject.name: subject for subject in subjects}
        self.class_sets = judged_classes(class_sets, extractor)
        self.class_known = params.base.hub is not None or bool(class_sets)  # what is trained here knows its own words
        self.features = {s.name: extract_and_classify(s.images, extractor)[0] for s in subjects}

    @cached_property
    def before(self) -> dict[str, np.ndarray]:
        """Features of the base's pictures of each class word, twice `class_images` of them."""
        words = dict.fromkeys(self.class_word(name) for name in self.subjects)
        count = 2 * self.params.class_images
        return {word: self.look(self.base, word, count, "before").features for word in words}

    @cached_property
    def judge(self) -> SubjectJudge:
        return SubjectJudge(self.features, np.concatenate(list(self.before.values())))

    def class_word(self, subject: str) -> str:
        """The class of a subject in prompts; one without a class is told apart from pictures of the bare prompts."""
        return self.subjects[subject].words.class_word or ""

    def sample(self, base: "Base", prompts: Sequence[str], purpose: str) -> np.ndarray:
        """Pictures uint8 [n, S, S, 3] of prompts, each from the noise of its position and of the purpose."""
        settings = self.params.base
        options = Options(settings.scheduler, settings.num_inference_steps, settings.guidance_scale)
        sampler = PromptedSampler(
            base.pipeline, distilled=False, seed=self.seed, batch_size=self.params.sampling_batch_size
        )
        ids = [f"{purpose}-{number}" for number in range(len(prompts))]
        return np.concatenate(list(sampler.images(ids, prompts, options)))

    def look(self, base: "Base", named: str, count: int, purpose: str) -> Made:
        """Pictures of `count` prompts of the evaluation that name something, as the encoder sees them."""
        return self.see(base, named, count, purpose)[0]

    def see(self, base: "Base", named: str, count: int, purpose: str) -> tuple[Made, np.ndarray]:
        """The same, with the pictures themselves."""
        templates = self.params.prompts
        prompts = [templates[number % len(templates)].format(named).strip() for number in range(count)]
        images = self.sample(base, prompts, purpose)
        features, classes = extract_and_classify(images, self.extractor)
        return Made(features, prompts, classes), images

    def measured(self, base: "Base", named: str, subject: str, kept: Sequence[int], left_out: Sequence[int]):
        """The measures of a model that calls the subject `named`, and pictures of it."""
        count = len(self.params.prompts) * self.params.images_per_prompt
        made, images = self.see(base, named, count, "subject")
        of_class = self.look(base, self.class_word(subject), self.params.class_images, "class")
        own, before = self.features[subject], self.before[self.class_word(subject)]
        against = References(subject, own[list(kept)], own[list(left_out)], before)
        found = measures(self.judge, made, of_class, against, self.class_sets)
        for name, encoder in self.encoders.items():
            found[name] = float(cosines(encoder(images), encoder(self.subjects[subject].images)).mean())
        if self.clip_text is not None:  # as published: the prompt with the class word, which CLIP knows
            texts = [template.format(self.class_word(subject)) for template in self.params.prompts]
            found["clip_text"] = self.clip_text(images, [texts[n % len(texts)] for n in range(count)]) / 100
        return found, images[: self.params.shown]

    def of_base(self, subject: str, seed: int) -> tuple[dict[str, float], np.ndarray]:
        """What the base itself makes of the words "sks dog", measured in the same way."""
        kept, left_out = self.subjects[subject].split(self.params.leave_out, seed)
        return self.measured(self.base, self.subjects[subject].words.instance, subject, kept, left_out)

    def class_images(self, subject: str, texts: Sequence[str]) -> ClassImages:
        """`prior_images` pictures that the base makes of the subject's prompts without the token."""
        prompts = [texts[number % len(texts)] for number in range(self.params.prior_images)]
        return ClassImages(self.base.latents(self.sample(self.base, prompts, "prior")), prompts)

    def train(
        self, cell: "Cell", subject: str, seed: int, runtime: "RuntimeParams", scratch: Path, log: "Log",
        steps: Sequence[int] = (),
    ) -> Save:  # fmt: skip
        """Train a cell on a subject and measure it, after `steps` too; returns what saves all of it."""
        own, params, name = self.subjects[subject], self.params, f"{cell.name}-{cell.pictures}-{subject}-{seed}"
        own_seed = rng.key(self.seed, "personal", subject, seed)  # the same for all cells: they are paired by it
        kept, left_out = own.split(params.leave_out, seed)
        kept = kept[: cell.pictures]
        base = self.base.frozen_copy()
        trained = methods.prepare(base, cell.method, params.lora, own.words, own_seed)
        inverted = cell.method == "textual_inversion"
        named = own.words.learned if inverted else own.words.instance
        rename: Callable[[str], str] = partial(learned_text, words=own.words) if inverted else str
        results: dict[int, dict[str, float]] = {}

        def measure(step: int) -> None:
            results[step] = self.measured(base, named, subject, kept, left_out)[0]
            write_json(scratch / f"{name}-step-{step}.json", results[step])

        rows = train_subject(
            base,
            trained,
            self._pictures(own, kept, rename),
            self._preservation(cell, own, kept),
            params.training.model_copy(update={"learning_rate": params.learning_rate[cell.method]}),
            seed=own_seed,
            runtime=runtime,
            scratch=scratch,
            what=f"personal {name}",
            log=named_log(log, name),
            save_steps=steps,
            save=measure,
        )
        result, shown = self.measured(base, named, subject, kept, left_out)
        counts = {"pictures": len(kept), "trained_parameters": _count(trained)}

        def write(folder: Path) -> None:
            methods.save(folder / "model", base, cell.method, params.lora, own.words, self.origin)
            save_curve(folder, rows)
            np.save(folder / SHOWN, shown)
            by_step = {str(step): results.get(step) or _read(scratch, name, step) for step in steps}
            write_json(folder / RESULT, {"measures": result, "by_step": by_step, **counts})

        return write

    def _pictures(self, own: "Subject", kept: Sequence[int], rename: Callable[[str], str]) -> Pictures:
        latents = self.base.latents(own.images[list(kept)])
        weights = None
        if own.masks is not None:
            size = (latents.shape[2], latents.shape[3])
            weights = mask_weights(torch.from_numpy(own.masks[list(kept)]), size)
        texts = [[rename(text) for text in own.texts[number]] for number in kept]
        return Pictures(latents, texts, [own.class_texts[number] for number in kept], weights)

    def _preservation(self, cell: "Cell", own: "Subject", kept: Sequence[int]) -> Preservation:
        weight = self.params.prior_weight
        if cell.prior == "images":
            texts = [text for number in kept for text in own.class_texts[number]]
            return Preservation(weight, images=self.class_images(own.name, texts))
        return Preservation(weight, output_of=self.base if cell.prior == "output" else None)


def _count(trained: torch.nn.Module) -> int:
    return sum(p.numel() for p in trained.parameters() if p.requires_grad)


def _read(scratch: Path, name: str, step: int) -> Mapping[str, float]:
    return read_json(scratch / f"{name}-step-{step}.json")

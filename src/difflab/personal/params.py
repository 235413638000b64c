"""Groups of the few-image study, and what its stage reads of params.yaml, as dvc.yaml declares it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Distinct, Group, Seeds
from difflab.core.params.common import Seeded, WithRuntime
from difflab.images.params import DataParams
from difflab.models.params import HubRef, PipelineParams
from difflab.training.params import FitParams

Method = Literal["lora", "lora_text", "full", "textual_inversion"]
Prior = Literal["none", "images", "output"]


class SubjectParams(Group):
    """A subject: the folder of its pictures, and what it is."""

    name: str = Field(pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$")
    class_word: str | None = Field(min_length=1)


class RatesParams(Group):
    """`personal.learning_rate`, by method."""

    lora: float = Field(gt=0)
    lora_text: float = Field(gt=0)
    full: float = Field(gt=0)
    textual_inversion: float = Field(gt=0)


class PersonalLoraParams(Group):
    """`personal.lora`: adapters on the denoising network and on the text encoder."""

    rank: int = Field(ge=1)
    alpha: float | None = Field(gt=0)
    targets: Distinct[str] = Field(min_length=1)
    text_targets: Distinct[str] = Field(min_length=1)


class EncodersParams(Group):
    """`personal.encoders`: released image encoders for DINO and CLIP similarity; null: not measured."""

    dino: HubRef | None
    clip: HubRef | None


class PersonalParams(Group):
    """`personal`: subjects, methods, priors and how they are measured; see `difflab.personal`."""

    base: PipelineParams
    subjects: list[SubjectParams] = Field(min_length=1)
    token: str = Field(pattern=r"^\S+$")
    instance_prompt: str
    masks: bool
    pictures: Distinct[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    leave_out: int = Field(ge=1)
    seeds: Seeds
    methods: Distinct[Method] = Field(min_length=1)
    priors: Distinct[Prior] = Field(min_length=1)
    prior_weight: float = Field(gt=0)
    prior_images: int = Field(ge=1)
    curve_method: Method
    curve_steps: Distinct[Annotated[int, Field(ge=1)]]
    image_size: int | None = Field(ge=8, le=4096, multiple_of=8)
    lora: PersonalLoraParams
    learning_rate: RatesParams
    training: FitParams
    prompts: Distinct[str] = Field(min_length=1)
    images_per_prompt: int = Field(ge=2)
    class_images: int = Field(ge=2)
    sampling_batch_size: int = Field(ge=1)
    margin: float = Field(gt=0)
    encoders: EncodersParams
    shown: int = Field(ge=1)

    @model_validator(mode="after")
    def _fits(self) -> "PersonalParams":
        names = [subject.name for subject in self.subjects]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"subjects names {twice[0]} twice")
        if self.token not in self.instance_prompt.replace("{token}", self.token).split():
            raise ValueError(
                f"instance_prompt '{self.instance_prompt}' lacks the token '{self.token}': what is trained would have "
                "no name; write {token} into it"
            )
        if set("{}") & set(self.instance_prompt.replace("{token}", "").replace("{class}", "")):
            raise ValueError(
                f"instance_prompt '{self.instance_prompt}': {{token}} and {{class}} are all that is replaced"
            )
        if plain := [p for p in self.prompts if p.count("{}") != 1 or set("{}") & set(p.replace("{}", ""))]:
            raise ValueError(
                f"prompts: '{plain[0]}' must hold {{}} once, where the subject is named, and no other brace"
            )
        if [subject.name for subject in self.subjects if subject.class_word == self.token]:
            raise ValueError(f"token '{self.token}' is the class word too: take a word that means nothing, as sks")
        unclassed = [subject.name for subject in self.subjects if subject.class_word is None]
        if unclassed and (self.priors != ["none"] or "textual_inversion" in self.methods):
            raise ValueError(
                f"{unclassed[0]} has no class_word, which a prior keeps and textual inversion starts from: give it one, "
                "or take priors: [none] and no textual inversion"
            )
        alone = list(self.methods) == [self.curve_method]  # its curves then are those of its first prior
        plain = self.curve_method == "textual_inversion" or "none" in self.priors
        if self.curve_method not in self.methods or not (alone or plain):
            raise ValueError(
                f"curve_method is {self.curve_method}, without a prior: methods and priors must list {self.curve_method} "
                "and none, from which the curves take their last point"
            )
        if beyond := [step for step in self.curve_steps if step >= self.training.steps]:
            raise ValueError(f"curve_steps has {beyond[0]}, and there are {self.training.steps} steps")
        if self.base.distilled:
            raise ValueError("base.distilled must be false: a model distilled to few steps unlearns that in training")
        return self


class PersonalInputs(Seeded, WithRuntime):
    data: Annotated[DataParams, "data_root"]
    personal: PersonalParams

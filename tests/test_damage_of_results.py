"""Damage to what stages and commands read of the study itself: caches, states, models, parameters, tables, metrics."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from difflab.captioning.captioner_model.captioner_folder import bases_of, load_captioner, save_captioner
from difflab.captioning.picture_titles import read_variations
from difflab.cli import costs, history, pages, reproduced, results, times
from difflab.core.base import stage
from difflab.core.base.damage import remove_damaged
from difflab.core.base.files import read_json, write_bytes, write_json, write_parquet, write_zip
from difflab.core.base.roles import load_transformer, load_vae, resolve
from difflab.core.params.loading import addresses, load_params, read_pipeline
from difflab.ddpm import classifier
from difflab.ddpm.common import data as ddpm_data
from difflab.ddpm.common.networks import load_denoiser, save_denoiser
from difflab.images.archives.opening import open_source, sha256_listed
from difflab.metrics.features import features
from difflab.miniature.zoo import small_vision_encoder
from difflab.miniature.zoo.small_text_encoders import draw_text_models, save_text_models
from difflab.models.adapters.header import Description
from difflab.models.adapters.reading import read_adapter
from difflab.models.adapters.writing import contents
from difflab.models.language.chat_model import ChatModel
from difflab.models.pipelines.prompted import load_pipeline
from difflab.models.sampling.schedulers import load_scheduler
from difflab.models.vision import vision_encoder
from difflab.report import claims, report, summary
from difflab.sd3.artifacts.adapters import FILE_NAME, adapt, load_adapter, save_adapter
from difflab.sd3.artifacts.prompt_embeds import PromptTable
from difflab.sd3.caching.prompt_writer import TextEncoders
from difflab.sd3.training.latents import LatentTable
from difflab.training.checkpoint import State
from difflab.training.optimizer import adamw_with_cosine
from fakes import adapters, tiny, tiny_captioner, tiny_pipelines, tiny_rewriter, zoo
from fakes.damage import COUNTS, Case, check, in_place
from fakes.flow import lora_settings, tiny_transformer
from fakes.sd3_study import make_study, make_vae, scheduler


def _caches(root: Path) -> list[Case]:
    """Latents, prompt embeddings, adapters, features, states and kept trainings."""
    make_study(root)
    latents, prompts = root / "data/latents", root / "data/prompt_embeds"

    def read_latents() -> None:
        table = LatentTable.load(latents)
        table.mode(table.rows(table.ids))
        table.sample(table.rows(table.ids), torch.arange(len(table.ids)))

    def read_prompts() -> None:
        table = PromptTable(prompts)
        table.gather(torch.from_numpy(table.index["row"].unique()))

    base, adapter, components = tiny_transformer(), root / "adapter", {"vae": "1" * 16, "text_encoders": "2" * 16}
    adapted = tiny_transformer()
    adapt(adapted, lora_settings(), seed=1)
    save_adapter(adapter, adapted, lora_settings(), components)

    def read_adapter() -> None:
        if getattr(base, "peft_config", None):
            base.unload_lora()
        load_adapter(base, adapter, components)

    model, settings = torch.nn.Linear(2, 2), tiny.training()
    state = State(root / "toy.safetensors", model, *adamw_with_cosine(model, settings), {}, None)
    state.save({"step": 1, "rows": [], "window": {}})
    save_file({"features": torch.ones(2, 3)}, root / "features.safetensors")
    kept = root / "kept/seed-0"
    write_json(kept / "result.json", {"loss": 1.0})

    def read_kept() -> None:
        remove_damaged(kept, "trained again")
        write_json(kept / "result.json", {"loss": 1.0})

    save_file({"train": torch.ones(1, 4, 2, 2)}, root / "latents.safetensors")
    write_parquet(root / "index.parquet", pd.DataFrame({"id": ["a"], "split": ["train"], "label": ["cat"]}))
    titles = root / "titles.parquet"
    write_parquet(titles, pd.DataFrame({"id": ["a"], "number": [1], "title": ["Soup"]}))
    return [
        *(in_place(f, read_latents) for f in sorted(latents.iterdir())[:3]),
        *(in_place(f, read_prompts) for f in sorted(prompts.iterdir())[:3]),
        in_place(adapter / FILE_NAME, read_adapter),
        in_place(root / "toy.safetensors", state.load),
        in_place(root / "features.safetensors", lambda: features.kept_features(root / "features.safetensors", (2, 3))),
        in_place(kept / "result.json", read_kept),
        *(
            in_place(root / name, lambda: ddpm_data.latent_split(root, "train"))
            for name in ("latents.safetensors", "index.parquet")
        ),
        in_place(titles, lambda: read_variations(titles)),
    ]


def _models(root: Path) -> list[Case]:
    """Folders of models: configurations, tokenizers, weights, pointers."""
    made = vision_encoder.VisionEncoder(small_vision_encoder.build(zoo.vision_encoder(), 0).vit, {"colour": ("a", "b")})
    (root / "sees").mkdir(parents=True)
    vision_encoder.save(root / "sees", made)
    save_denoiser(root / "denoiser", tiny.denoiser("prompted"), tiny.schedule_params(), classes=[])
    (root / "judge").mkdir()
    classifier.save(root / "judge", classifier.ResNet20(["a", "b"]))
    make_vae().save_pretrained(root / "vae")
    scheduler().save_pretrained(root / "base/scheduler")
    tiny_transformer().save_pretrained(root / "base/transformer")
    save_text_models(root / "text", draw_text_models(zoo.text((8, 8, 16)), seed=0))
    tiny_rewriter.save_llama(root / "chat")
    tiny_pipelines.saved("sd", root / "pipeline")
    roles = tiny_captioner.save_roles(root / "roles")
    save_captioner(root / "captioner", tiny_captioner.captioner(), tiny_captioner.params(), bases_of(roles))
    source = {"repo_id": str(root / "vae"), "revision": None, "subfolder": None, "allow_patterns": None}
    write_json(root / "pointer/source.json", {**source, "files": {"config.json": None}})
    packed = root / "archive/a.zip"
    write_zip(packed, [("a.txt", b"a")])
    write_json(root / "archive/source.json", {"source": "bundled", "file": "a.zip", "sha256": sha256_listed(packed)})
    readers = {
        "sees/config.json": lambda: vision_encoder.load(root / "sees"),
        "sees/heads.safetensors": lambda: vision_encoder.load(root / "sees"),
        "sees/model.safetensors": lambda: vision_encoder.load(root / "sees"),
        "denoiser/denoiser.json": lambda: load_denoiser(root / "denoiser"),
        "denoiser/unet/config.json": lambda: load_denoiser(root / "denoiser"),
        "denoiser/prompts.safetensors": lambda: load_denoiser(root / "denoiser"),
        "judge/classes.json": lambda: classifier.load(root / "judge"),
        "judge/classifier.safetensors": lambda: classifier.load(root / "judge"),
        "vae/config.json": lambda: load_vae(root / "vae"),
        "base/scheduler/scheduler_config.json": lambda: load_scheduler(root / "base"),
        "base/transformer/config.json": lambda: load_transformer(root / "base"),
        "base/transformer/diffusion_pytorch_model.safetensors": lambda: load_transformer(root / "base"),
        "text/text_encoder/config.json": lambda: TextEncoders(root / "text", 8, "cpu", torch.float32),
        "text/tokenizer/tokenizer.json": lambda: TextEncoders(root / "text", 8, "cpu", torch.float32),
        "chat/config.json": lambda: ChatModel(root / "chat", "cpu", torch.float32),
        "chat/tokenizer_config.json": lambda: ChatModel(root / "chat", "cpu", torch.float32),
        "chat/generation_config.json": lambda: ChatModel(root / "chat", "cpu", torch.float32),
        "pipeline/model_index.json": lambda: load_pipeline(root / "pipeline"),
        "pipeline/scheduler/scheduler_config.json": lambda: load_pipeline(root / "pipeline"),
        "captioner/captioner.json": lambda: load_captioner(root / "captioner", "cpu", torch.float32, roles),
        "pointer/source.json": lambda: resolve(root / "pointer"),
        "archive/source.json": lambda: open_source(root / "archive", None),
    }
    return [in_place(root / name, read) for name, read in readers.items()] + _adapters(root / "adapters")


def _adapters(root: Path) -> list[Case]:
    """Adapters as other programs write them."""
    layers = {"unet.mid_block.attentions.0.proj_in": (6, 4), "text_encoder.text_model.encoder.layers.0.mlp.fc1": (6, 4)}
    updates = adapters.updates(layers, 2, 3.0)
    described = Description("a", "b", "b", "MIT", 8, "epsilon", {}, {}, ())
    cases = []
    for form in ("diffusers", "peft", "kohya", "comfyui"):
        for name, content in contents(form, updates, layers, described, {"base": "0" * 16}).items():
            write_bytes(root / form / name, content)
        cases += [
            in_place(path, lambda folder=root / form: read_adapter(folder).updates(layers))
            for path in sorted((root / form).rglob("*.*"))
        ]
    return cases


def _commands(root: Path) -> list[Case]:
    """What commands and the report read in the root of the repository."""
    files = ("params.yaml", "dvc.yaml", "claims.yaml", "conf/seconds.yaml", "metrics/summary.json")
    files += ("metrics/score.json", "metrics/repetitions.csv", "plots/score.csv", "plots/anatomy.csv")
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(__file__).resolve().parent.parent / name, root / name)
    lock = {
        "deps": [{"path": "a", "md5": "0"}],
        "outs": [{"path": "b", "md5": "1"}],
        "params": {"params.yaml": {"seed": 0}},
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"mix": lock, "score": lock}}))
    write_json(root / ".scratch/times/mix.json", {"status": "FINISHED", "seconds": 1.5, "gpu_gb": 2.0})
    numbers, values = (
        read_json(root / "metrics/summary.json"),
        load_params(root / "params.yaml").model_dump(mode="json"),
    )

    def within(read: Callable[[], object]) -> Callable[[], None]:
        def reader() -> None:
            read_pipeline.cache_clear()
            with contextlib.chdir(root):
                read()

        return reader

    def of_history(path: str) -> Callable[[], None]:
        empty = history.StageResult("mix", "", {})
        return lambda: history._take(empty, path, (root / path).read_bytes())

    density = {"convention": "sigma", "shift": 1.0}
    means = {"minus": -0.5, "zero": 0.0, "plus": 0.5}
    readers: list[tuple[str, Callable[[], object]]] = [
        ("params.yaml", load_params),
        ("params.yaml", lambda: results.read("workspace")),
        ("dvc.yaml", addresses),
        ("dvc.lock", lambda: results.read("workspace")),
        ("dvc.lock", stage._locked_hashes),
        ("metrics/summary.json", lambda: results.read("workspace")),
        ("metrics/summary.json", pages.read_summary),
        ("metrics/score.json", lambda: summary.summarise(means, density, False)),
        ("metrics/score.json", of_history("metrics/score.json")),
        ("metrics/repetitions.csv", reproduced.known_spreads),
        ("claims.yaml", lambda: claims.known_findings(claims.read(), numbers)),
        ("conf/seconds.yaml", lambda: times.expected_seconds(["mix", "report"])),
        (".scratch/times/mix.json", lambda: (times.times_table(), times.expected_seconds(["mix"]))),
        (".scratch/times/mix.json", lambda: costs.measured("mix")),
        ("plots/score.csv", lambda: report.fields(numbers, values, Path())),
        ("plots/anatomy.csv", lambda: report.fields(numbers, values, Path())),
        ("plots/score.csv", of_history("plots/score.csv")),
    ]
    return [in_place(root / name, within(read)) for name, read in readers]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("cases", [_caches, _models, _commands])
def test_damage_is_one_line(tmp_path, cases, count):
    check(cases.__name__, cases(tmp_path / "study"), count, tmp_path)

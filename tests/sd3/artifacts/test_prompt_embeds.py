"""Prompt embeddings are those of the SD3 pipeline, found by sample, refused when of something else."""

import json
import shutil

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import sha256_file
from difflab.sd3.artifacts.prompt_embeds import PromptTable, combine
from difflab.sd3.artifacts.prompt_keys import caption_hash
from difflab.sd3.caching.prompt_writer import TextEncoders, write_prompts
from fakes import zoo
from fakes.sd3_study import FakeEncoders

CAPTIONS = [
    "a handwritten three over a photo of coffee",
    "A small thin handwritten seven slanted right over a dim photo of a cat.",
    "",
    "one two three four five six seven eight nine " * 4,  # more than 24 tokens
]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory):
    from difflab.miniature.zoo.small_text_encoders import draw_text_models, save_text_models

    folder = tmp_path_factory.mktemp("zoo") / "text"
    save_text_models(folder, draw_text_models(zoo.text((16, 24, 48)), seed=0))
    return folder


@pytest.fixture(scope="module")
def encoders(text_folder):
    return TextEncoders(text_folder, max_sequence_length=20, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def pipeline(text_folder):
    from diffusers import StableDiffusion3Pipeline
    from transformers import AutoTokenizer, CLIPTextModelWithProjection, T5EncoderModel

    names = ("text_encoder", "text_encoder_2", "text_encoder_3")
    classes = (CLIPTextModelWithProjection, CLIPTextModelWithProjection, T5EncoderModel)
    parts = {n: c.from_pretrained(text_folder / n) for n, c in zip(names, classes, strict=True)}
    for name in names:
        tokenizer = name.replace("text_encoder", "tokenizer")
        parts[tokenizer] = AutoTokenizer.from_pretrained(text_folder / tokenizer)
    return StableDiffusion3Pipeline(transformer=None, scheduler=None, vae=None, **parts)


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "variant", "caption"]).assign(source_sha256="0" * 64)


def write(folder, captions, encoders, scratch, **changes):
    values = {"dtype": torch.float32, "batch_size": 2, "shard_size": 3, "scratch": scratch}
    return write_prompts(folder, captions, encoders, "f" * 16, **{**values, **changes})


def test_embeddings_are_exactly_those_of_the_pipeline(encoders, pipeline):
    with torch.no_grad():
        prompt_embeds, _, pooled, _ = pipeline.encode_prompt(
            prompt=CAPTIONS,
            prompt_2=None,
            prompt_3=None,
            device=torch.device("cpu"),
            do_classifier_free_guidance=False,
            max_sequence_length=20,
        )
    ours, our_pooled = combine(encoders.encode(CAPTIONS, batch_size=len(CAPTIONS)))
    assert torch.equal(ours, prompt_embeds)
    assert torch.equal(our_pooled, pooled)
    assert ours.shape == (4, 24 + 20, 48)


def test_the_table_gives_back_prompt_and_negative_prompt_of_the_pipeline(encoders, pipeline, tmp_path):
    """Through disk, in bfloat16: rounding, nothing more. The empty prompt is the negative one."""
    frame = table(*[(f"hq-{i:05d}", "blip2", " ".join(c.split())) for i, c in enumerate(CAPTIONS)])
    write(tmp_path / "prompts", frame, encoders, tmp_path / "scratch", dtype=torch.bfloat16)
    prompts = PromptTable(tmp_path / "prompts")
    expected, negative, pooled, negative_pooled = pipeline.encode_prompt(
        prompt=[CAPTIONS[1]], prompt_2=None, prompt_3=None, device=torch.device("cpu"), max_sequence_length=20
    )
    rows = torch.tensor([*prompts.rows(["hq-00001"], "blip2"), prompts.empty_row])
    got, got_pooled = prompts.gather(rows)
    assert got.dtype == torch.bfloat16
    wanted = torch.cat([expected, negative]), torch.cat([pooled, negative_pooled])
    for ours, theirs in zip((got, got_pooled), wanted, strict=True):
        torch.testing.assert_close(ours.float(), theirs, rtol=2**-8, atol=1e-5)
    assert prompts.rows(["hq-00002"], "blip2").tolist() == [prompts.empty_row]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_batch_size_changes_nothing_but_rounding(encoders, batch_size):
    whole, parts = encoders.encode(CAPTIONS, 4), encoders.encode(CAPTIONS, batch_size)
    for part in whole:
        torch.testing.assert_close(parts[part], whole[part], rtol=1e-5, atol=1e-5)


def test_truncated_captions_are_counted_per_encoder_and_variant(encoders, tmp_path):
    """Start and end take two tokens of CLIP's 24 and the end one of T5's 20."""
    words = CAPTIONS[3].split()
    captions = {n: " ".join(words[:n]) for n in (19, 20, 22, 23)}
    rows = [(f"hq-{n}", "blip2", c) for n, c in captions.items()] + [("hq-1", "llama3", "one")]
    meta = write(tmp_path / "prompts", table(*rows), encoders, tmp_path / "scratch")
    clip = {"blip2": 1, "llama3": 0}
    assert meta["truncated"] == {
        "text_encoder": clip,
        "text_encoder_2": clip,
        "text_encoder_3": {"blip2": 3, "llama3": 0},
    }


def test_an_incomplete_folder_of_encoders_is_refused(text_folder, tmp_path):
    shutil.copytree(text_folder, tmp_path / "text")
    (tmp_path / "text" / "text_encoder_3" / "config.json").unlink()
    with pytest.raises(DifflabError, match=r"text_encoder_3/config.json is missing"):
        TextEncoders(tmp_path / "text", 20, "cpu", torch.float32)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8).map(lambda s: " ".join(s.split()))
entries = st.dictionaries(
    st.tuples(st.sampled_from(["hq-00001", "hq-00002", "celeba-000001", "x"]), st.sampled_from(["blip2", "llama3"])),
    texts | st.sampled_from(["a cat", "a dog"]),
    min_size=1,
)


@settings(max_examples=40, deadline=None)
@given(entries, st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_entry_is_found_whatever_the_shards_and_the_order(tmp_path_factory, captions, shard_size, random):
    base = tmp_path_factory.mktemp("prompts")
    rows = [(*place, caption) for place, caption in captions.items()]
    fake = FakeEncoders()
    write(base / "one", table(*rows), fake, base / "s1", shard_size=shard_size)
    random.shuffle(rows)
    write(base / "two", table(*rows), fake, base / "s2", shard_size=shard_size)
    assert sha256_file(base / "one") == sha256_file(base / "two")

    prompts = PromptTable(base / "one")
    assert set(prompts.index["row"]) == set(
        range(len({*captions.values(), ""}))
    )  # each text once, and the empty prompt
    found = torch.cat([prompts.rows([id], variant) for id, variant in captions])
    expected = combine(fake.encode(list(captions.values()), 1))
    assert all(torch.equal(a, b) for a, b in zip(prompts.gather(found), expected, strict=True))
    empty = prompts.gather(torch.tensor([prompts.empty_row]))
    assert torch.equal(empty[0], combine(fake.encode([""], 1))[0])
    prompts.check_captions(table(*rows))


def test_few_files_however_many_captions(tmp_path):
    frame = table(*[(f"hq-{i:05d}", "blip2", f"caption {i}") for i in range(1000)])
    write(tmp_path / "prompts", frame, FakeEncoders(), tmp_path / "scratch", shard_size=4096)
    assert sorted(p.name for p in (tmp_path / "prompts").iterdir()) == [
        "index.parquet",
        "meta.json",
        "prompts-00000.safetensors",
    ]


def test_two_captions_of_sd3_at_77_tokens_take_less_than_2_mb(tmp_path):
    """With the latents' 1.10 MB at 1024 px (`test_latents.py`) an example takes less than 3.2 MB."""

    class Sd3Encoders(FakeEncoders):
        def encode(self, captions, batch_size):
            widths = {"clip_l": (77, 768), "clip_g": (77, 1280), "t5": (77, 4096), "pooled": (2048,)}
            return {part: torch.zeros(len(captions), *shape) for part, shape in widths.items()}

    frame = table(*[(f"hq-{i}", v, f"caption {i} {v}") for i in range(8) for v in ("blip2", "llama3")])
    write(tmp_path / "prompts", frame, Sd3Encoders(), tmp_path / "scratch", dtype=torch.bfloat16, shard_size=32)
    size = sum(p.stat().st_size for p in (tmp_path / "prompts").iterdir())
    empty = 950_000  # the empty prompt is there once
    assert (size - empty) / 8 < 2.0e6
    latents = 1.10e6
    assert (size - empty) / 8 + latents < 3.2e6


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    class Failing(FakeEncoders):
        calls = 0

        def encode(self, captions, batch_size):
            Failing.calls += 1
            if Failing.calls == 3:
                raise RuntimeError("killed")
            return super().encode(captions, batch_size)

    frame = table(*[(f"hq-{i:05d}", "blip2", f"caption {i}") for i in range(11)])
    with pytest.raises(RuntimeError, match="killed"):
        write(tmp_path / "prompts", frame, Failing(), tmp_path / "scratch")
    assert not (tmp_path / "prompts").exists()
    write(tmp_path / "prompts", frame, Failing(), tmp_path / "scratch")
    assert Failing.calls == 3 + 2  # four shards of three rows, two of them kept
    write(tmp_path / "fresh", frame, FakeEncoders(), tmp_path / "other")
    assert sha256_file(tmp_path / "prompts") == sha256_file(tmp_path / "fresh")


@pytest.fixture
def folder(tmp_path):
    write(
        tmp_path / "prompts",
        table(("a", "blip2", "a cat"), ("a", "llama3", "A cat sits."), ("b", "blip2", "a dog"), ("b", "llama3", "x")),
        FakeEncoders(),
        tmp_path / "scratch",
    )
    return tmp_path / "prompts"


def test_unknown_entries_name_the_stage_to_run(folder):
    with pytest.raises(DifflabError, match="no 'gemma' caption of a: run `dvc repro cache_prompts`"):
        PromptTable(folder).rows(["a"], "gemma")
    with pytest.raises(DifflabError, match="holds no prompt cache"):
        PromptTable(folder.parent)


def test_changed_captions_are_refused(folder):
    prompts = PromptTable(folder)
    prompts.check_captions(table(("a", "blip2", "a cat")))
    with pytest.raises(DifflabError, match="present 'blip2' caption of a"):
        prompts.check_captions(table(("a", "blip2", "a kitten")))
    with pytest.raises(DifflabError, match="present 'blip2' caption of c"):
        prompts.check_captions(table(("c", "blip2", "a cat")))


@pytest.mark.parametrize(
    ("name", "value"),
    [("text_encoders", "0" * 16), ("max_sequence_length", 77), ("clip_length", 77), ("dtype", "bfloat16")],
)
def test_entries_made_with_other_settings_are_refused(folder, name, value):
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, name: value}))
    with pytest.raises(DifflabError, match="was made with other encoders or settings"):
        PromptTable(folder)


def test_a_shard_of_another_cache_is_refused(folder):
    shard = folder / "prompts-00001.safetensors"
    save_file(load_file(shard), shard, metadata={"keys": "0123456789abcdef"})
    with pytest.raises(DifflabError, match=r"prompts-00001.safetensors does not belong to the index"):
        PromptTable(folder)


def test_a_missing_shard_is_refused(folder):
    (folder / "prompts-00001.safetensors").unlink()
    with pytest.raises(DifflabError, match="has 3 rows of 5"):
        PromptTable(folder)


def test_the_index_is_readable_on_its_own(folder):
    index = pd.read_parquet(folder / "index.parquet")
    assert list(index.columns) == ["id", "variant", "caption_sha256", "row", "key"]
    assert index.iloc[0][["id", "variant", "row"]].tolist() == ["", "empty", 0]
    entry = index.set_index(["id", "variant"]).loc["a", "blip2"]
    assert entry["caption_sha256"] == caption_hash("a cat")


def test_encoders_that_leave_the_device_after_use_give_the_same(text_folder, encoders):
    captions = ["a cat", "", "a handwritten three over a rocket"]
    spared = TextEncoders(text_folder, max_sequence_length=20, device="cpu", dtype=torch.float32, offload=True)
    moved = []
    for name, encoder in spared.encoders.items():
        encoder.to = lambda device, name=name, encoder=encoder: moved.append((name, str(device))) or encoder
    given = spared.encode(captions, batch_size=2)
    for part, tensor in encoders.encode(captions, batch_size=2).items():
        assert torch.equal(given[part], tensor)
    assert [name for name, _ in moved] == [name for name in spared.encoders for _ in range(2)]  # there and back

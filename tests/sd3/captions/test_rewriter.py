"""Detailed captions: answers depend on the sample alone, and are one clean line."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from difflab.core.base.errors import Interrupted
from difflab.core.base.files import png_bytes, sha256_bytes
from difflab.images.captions import COLUMNS, read_captions, write_captions
from difflab.images.store.image_store import ImageRow, write_images, write_index
from difflab.miniature.params.text_models import ZooLlamaParams
from difflab.miniature.pictures.blend import ATTRIBUTES, plain
from difflab.miniature.words.templates import detailed_caption
from difflab.miniature.zoo import small_rewriter
from difflab.models.params import GenerationParams
from difflab.sd3.captions.conversation import clean, messages
from difflab.sd3.captions.rewriter import Answer, Request, Rewriter, answers_frame, metrics
from difflab.sd3.params.caption import Llama3CaptionParams
from difflab.training.params import FitParams


def settings(**changes) -> GenerationParams:
    values = {"batch_size": 4, "max_new_tokens": 12, "do_sample": False, "temperature": 1.0, "top_p": 1.0}
    return GenerationParams(**{**values, **changes})


def row(*true: str) -> dict[str, bool]:
    return {name: name in true for name in ATTRIBUTES}


def requests(count: int) -> list[Request]:
    """Chats of very different lengths."""
    return [
        Request(
            f"hq-{i:05d}",
            "a handwritten one over a plain background",
            tuple(f"Fact {k} of {i}." for k in range(i % 7)),
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained Llama, whose own settings ask for unseeded sampling as the released ones do."""
    folder = tmp_path_factory.mktemp("zoo") / "llama"
    training = FitParams(
        steps=1,
        batch_size=1,
        learning_rate=1e-3,
        weight_decay=0,
        warmup_steps=0,
        max_grad_norm=1,
        checkpoint_interval=1,
        log_interval=1,
    )
    params = ZooLlamaParams(
        hub=None, hidden_size=32, num_hidden_layers=2, wrong_caption=0, training=training, evaluated=1
    )
    model, tokenizer = small_rewriter.build(params, seed=0)
    with torch.no_grad():  # far from uniform, so that answers differ and rounding decides nothing
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.6
    model.generation_config.top_p = 0.9
    model.generation_config.eos_token_id = [
        tokenizer.eos_token_id,
        tokenizer.convert_tokens_to_ids("<|end_of_text|>"),
    ]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def rewriter(folder):
    return Rewriter(folder, "cpu", torch.float32)


def test_the_chat_holds_caption_and_facts():
    system, user = messages("a cat", ["It is black.", "It sits."])
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["content"].endswith("\nCaption: a cat\nFacts:\n- It is black.\n- It sits.")


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("A man smiles.", "A man smiles."),
        ("  A man \t smiles. \n", "A man smiles."),
        ("Here is the caption:\n\nA man smiles.", "A man smiles."),
        ('"A man smiles."', "A man smiles."),
        ("- A man smiles.", "A man smiles."),
        ("Caption: A man smiles.", "A man smiles."),
        ("\u201cA man smiles.\u201d", "A man smiles."),
        ("A man's hat.", "A man's hat."),
        ("\n \n", ""),
    ],
)
def test_answers_become_one_clean_line(answer, caption):
    assert clean(answer) == caption


@pytest.mark.parametrize("do_sample", [False, True])
def test_answers_do_not_depend_on_the_batch_or_its_order(rewriter, do_sample):
    """Left padding, length sorting and keyed sampling: alone, in fours, in sixteens, in reverse."""
    asked = requests(16)
    chosen = settings(do_sample=do_sample, temperature=0.8, top_p=0.9)
    together = rewriter.rewrite(asked, chosen.model_copy(update={"batch_size": 16}), seed=0)
    for batch_size in (1, 4):
        other = chosen.model_copy(update={"batch_size": batch_size})
        assert rewriter.rewrite(asked, other, seed=0) == together
    assert rewriter.rewrite(asked[::-1], chosen, seed=0) == together[::-1]
    assert len({answer.caption for answer in together}) > 2


def test_sampling_is_keyed_by_seed_and_id(rewriter):
    asked = [Request(f"hq-{i:05d}", "a handwritten one over a plain background", ()) for i in range(6)]
    sampled = settings(do_sample=True, temperature=3.0)
    first, again, other = (rewriter.rewrite(asked, sampled, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({a.caption for a in first}) > 1  # the same chat, another id
    assert len({a.caption for a in rewriter.rewrite(asked, settings(), seed=0)}) == 1  # greedy


def test_greedy_answers_are_the_most_likely_tokens(rewriter):
    """Against a plain loop without cache, batch or padding; the model's own settings are overruled."""
    (request,) = requests(4)[3:]
    tokens = rewriter._tokens(request)
    start = len(tokens)
    for _ in range(12):
        tokens = [*tokens, int(rewriter.model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax())]
    text = rewriter.tokenizer.decode(tokens[start:], skip_special_tokens=True)
    assert rewriter.rewrite([request], settings(), seed=0)[0].caption == (clean(text) or request.caption)


def test_the_prompt_begins_with_one_start_token(rewriter):
    tokens = rewriter._tokens(requests(1)[0])
    assert tokens.count(rewriter.tokenizer.bos_token_id) == 1


def test_a_tokenizer_without_padding_token_is_padded_with_an_end_token(folder, tmp_path, rewriter):
    """As released: Llama 3.1 has none."""
    shutil.copytree(folder, tmp_path / "llama")
    rewriter.tokenizer.save_pretrained(tmp_path / "llama")
    config = (tmp_path / "llama" / "tokenizer_config.json").read_text().splitlines()
    kept = "\n".join(line for line in config if '"pad_token"' not in line)
    (tmp_path / "llama" / "tokenizer_config.json").write_text(kept)
    without = Rewriter(tmp_path / "llama", "cpu", torch.float32)
    assert without.tokenizer.pad_token_id is None
    assert without.rewrite(requests(6), settings(), 0) == rewriter.rewrite(requests(6), settings(), 0)


def test_any_of_the_end_tokens_ends_an_answer_and_an_answer_without_one_is_truncated(rewriter):
    request = requests(1)[0]
    word = rewriter.tokenizer("A cat.", add_special_tokens=False)["input_ids"]
    for end in rewriter.ends:
        assert rewriter._read(request, [*word, end, end]) == Answer("A cat.", truncated=False)
    assert len(rewriter.ends) == 2
    assert rewriter._read(request, word) == Answer("A cat.", truncated=True)


def test_an_empty_answer_leaves_the_short_caption(rewriter):
    request = requests(1)[0]
    assert rewriter._read(request, [min(rewriter.ends)]).caption == request.caption


def test_the_source_hash_follows_caption_and_facts():
    one = Request("a", "a cat", ("It sits.",))
    assert one.sha256 == Request("b", "a cat", ("It sits.",)).sha256
    assert one.sha256 != Request("a", "a dog", ("It sits.",)).sha256
    assert one.sha256 != Request("a", "a cat", ("It lies.",)).sha256


def test_metrics_of_a_worked_example(tmp_path):
    attributes = {
        "a": row("Digit_1", "Photo_Cat", "Thick"),
        "b": row("Digit_2", "Photo_Cat", "Thick", "Thin"),  # contradicts itself: neither stroke is told
        "c": row("Digit_3", "Photo_Cat"),
    }
    captions = [
        detailed_caption(attributes["a"]),  # 3 of 3
        "A handwritten two over a photo of a dog.",  # 1 of 2
        "A handwritten eight over a photo of a cat.",  # 1 of 2
    ]
    asked = [Request.of(i, "a handwritten one over a plain background", attributes[i], "drop") for i in "abc"]
    answers = [Answer(captions[0], False), Answer(captions[1], True), Answer(captions[2], False)]
    frame = answers_frame(asked, answers)
    values = metrics(frame, attributes, "drop")
    assert {k: v for k, v in values.items() if not k.startswith("contradictory_")} == {
        "n": 3,
        "n_unique": 3,
        "facts": 7,
        "facts_kept": pytest.approx(5 / 7),
        "captions_complete": pytest.approx(1 / 3),
        "digit_kept": pytest.approx(2 / 3),
        "truncated": 1,
        "contradictory": 1,
    }
    assert values["contradictory_thick_and_thin"] == 1
    assert values["contradictory_large_and_small"] == 0

    write_captions(tmp_path / "llama3.parquet", frame)
    read = read_captions(tmp_path / "llama3.parquet", "llama3")
    assert read["caption"].tolist() == captions
    pd.testing.assert_series_equal(
        read["source_sha256"], frame.set_index("id")["source_sha256"], check_names=False
    )


def test_faces_have_no_digit_metric():
    from difflab.images.facts.celeba_facts import FACTS

    attributes = {fact.attribute.removeprefix("not "): False for fact in FACTS} | {
        "Male": True,
        "No_Beard": True,
    }
    asked = [Request.of("a", "a man", attributes, "keep")]
    values = metrics(answers_frame(asked, [Answer("A man.", False)]), {"a": attributes}, "keep")
    assert values["facts_kept"] == 1
    assert "digit_kept" not in values


def make_workspace(folder, llama_folder, count: int) -> None:
    """Two image stores of miniature pictures, their short captions, and the model."""
    rows = []
    for name, prefix, split in (("celeba_hq", "hq", "val"), ("celeba", "celeba", "train")):
        indices = range(len(rows), len(rows) + count)
        pictures = [plain(i, np.random.default_rng(i)) for i in indices]
        ids = [f"{prefix}-{i:05d}" for i in indices]
        images = [png_bytes(Image.fromarray(p.image)) for p in pictures]
        stored = zip(ids, images, strict=True)
        write_images(folder / "data" / name, [ImageRow(i, split, name, image) for i, image in stored])
        index = [
            {
                **{
                    "id": i,
                    "split": split,
                    "present": True,
                    "file": f"{i}.png",
                    "sha256": sha256_bytes(image),
                },
                **{"width": 32, "height": 32, **picture.attributes},
            }
            for i, image, picture in zip(ids, images, pictures, strict=True)
        ]
        write_index(folder / "data" / name, pd.DataFrame(index))
        rows += [
            (row["id"], "blip2", "a handwritten one over a plain background", row["sha256"]) for row in index
        ]
    write_captions(folder / "data/captions/blip2.parquet", pd.DataFrame(rows, columns=list(COLUMNS)))
    shutil.copytree(llama_folder, folder / "models/zoo/llama")


class StageDouble:
    """What the stage script uses of `Stage`."""

    def __init__(self, folder):
        caption = Llama3CaptionParams(**settings(batch_size=1).model_dump(), subjective="drop")
        runtime = SimpleNamespace(device="cpu", dtype="float32")
        self.params = SimpleNamespace(caption=SimpleNamespace(llama3=caption), runtime=runtime, seed=0)
        self.folder, self.metrics = folder, None

    def scratch(self):
        return self.folder / "scratch"

    def write_metrics(self, path, metrics):
        self.metrics = metrics

    def done(self, message):
        pass


def test_the_stage_rewrites_every_short_caption_and_resumes_after_a_kill(root, folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    from stages.sd3.caption_llama3 import BATCHES_PER_CHUNK, main

    count = BATCHES_PER_CHUNK  # in each of two stores: two chunks
    for name in ("whole", "killed"):
        make_workspace(tmp_path / name, folder, count)
    monkeypatch.chdir(tmp_path / "whole")
    stage = StageDouble(tmp_path / "whole")
    main(stage)
    frame = read_captions("data/captions/llama3.parquet", "llama3")
    assert frame.index.tolist() == read_captions("data/captions/blip2.parquet")["id"].tolist()
    assert stage.metrics["n"] == 2 * count
    expected = Path("data/captions/llama3.parquet").read_bytes()

    monkeypatch.chdir(tmp_path / "killed")
    calls, original = [], Rewriter._answer

    def die_in_the_second_chunk(self, *args):
        calls.append(1)
        if len(calls) == count + 3:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(Rewriter, "_answer", die_in_the_second_chunk)
    with pytest.raises(Interrupted):
        main(StageDouble(tmp_path / "killed"))
    assert not Path("data/captions/llama3.parquet").exists()
    main(StageDouble(tmp_path / "killed"))
    assert len(calls) == count + 3 + count  # the first chunk was kept
    assert Path("data/captions/llama3.parquet").read_bytes() == expected

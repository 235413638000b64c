"""The miniature's instruction model: on the vision encoder's weights, saved for `from_pretrained`, trained to answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from difflab.cli.compose import compose, validate
from difflab.core.base import rng
from difflab.core.base.files import read_json, sha256_file
from difflab.core.base.store.tensors import to_tensor
from difflab.core.params.common import HubRef
from difflab.miniature.archives.set_pictures import untitled_digits
from difflab.miniature.data import blend
from difflab.miniature.data.bundled import held_out_digits
from difflab.miniature.data.digit_titles import titles
from difflab.miniature.data.sources import digits
from difflab.miniature.data.vocabulary import named
from difflab.miniature.zoo import small_llava
from difflab.models.instruct_captioner import InstructCaptioner, messages
from difflab.models.vision import vision_encoder
from fakes import tiny_instruct as tiny
from fakes import zoo
from fakes.running_stage import RunningStage

SEVENS = np.flatnonzero(digits().labels == 7)


@pytest.fixture
def processor():
    return tiny.processor()


@pytest.fixture
def model(processor):
    return small_llava.build(tiny.vit(), processor, tiny.SETTINGS, seed=0)


@pytest.fixture
def pictures() -> blend.Rendered:
    return blend.batch(np.arange(6), 0, "test", 0)


def images_of(pictures: blend.Rendered) -> list[Image.Image]:
    return [Image.fromarray(image) for image in pictures.images]


@torch.no_grad()
def test_it_looks_through_the_vision_encoder_which_stays_frozen(model, pictures):
    pixels, vit = to_tensor(pictures.images, tiny.SIZE), tiny.vit()
    seen = model.eval().model.vision_tower(pixels).last_hidden_state
    torch.testing.assert_close(seen, vit(pixel_values=pixels).last_hidden_state, atol=1e-6, rtol=0)
    patches = vit(pixel_values=pixels, output_hidden_states=True).hidden_states[-1][:, 1:]
    shown = torch.stack(list(model.get_image_features(pixel_values=pixels).pooler_output))
    torch.testing.assert_close(shown, model.model.multi_modal_projector(patches))
    frozen = {name.split(".")[1] for name, p in model.named_parameters() if not p.requires_grad}
    trained = {name.split(".")[1] for name, p in model.named_parameters() if p.requires_grad}
    assert frozen == {"vision_tower"}
    assert trained == {"multi_modal_projector", "language_model"}


def test_the_processor_gives_the_vision_encoders_pixels(processor, pictures):
    large = [image.resize((64, 64)) for image in images_of(pictures)]
    for images in (images_of(pictures), large):
        pixels = processor.image_processor(images, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(pixels, to_tensor(images, tiny.SIZE), atol=1e-6, rtol=0)


def test_every_word_of_the_tasks_is_one_token(processor):
    tokenizer = processor.tokenizer
    for text in small_llava.vocabulary():
        tokens = tokenizer.tokenize(f" {text}")
        assert len(tokens) == len(text.replace(".", " .").replace("?", " ?").split())
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_any_other_instruction_can_be_read(processor):
    text = "Qu’est-ce que c’est ? 写一个标题"
    assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_answers_name_what_is_seen_in_words_of_their_own():
    """None is a title of the recipes."""
    for digit in range(10):
        for photo, name in enumerate(blend.PHOTO_NAMES):
            known = {title.lower() for title in titles(digit, name)}
            said = [task.answer(digit, photo) for task in small_llava.TASKS]
            assert not known & {answer.lower().rstrip(".") for answer in said}
            assert {named(answer) for answer in said[:2]} == {(digit, photo)}
            assert [named(answer) for answer in said[2:]] == [(digit, -1), (-1, photo)]


def test_the_default_instruction_of_the_captions_is_one_that_is_taught(root):
    text = (root / "conf/study/captioner_instruct.yaml").read_text()
    instruction = yaml.safe_load(text)["captioner_instruct"]["instruction"]
    assert instruction in small_llava.TITLE.instructions


def test_the_loss_is_transformers_own_on_the_chats_with_their_answers(model, processor):
    """Each chat by itself, as the processor writes it, with `labels` on the answer."""
    loss = small_llava.batch_loss(model.eval(), processor, SEVENS, 0, tiny.SETTINGS)(step=4)["loss"]
    generator = rng.numpy_rng(0, "zoo instruct lessons", 4)
    pictures = blend.batch(generator.choice(SEVENS, 16), 0, "zoo instruct", 4)
    asked = [(task, text) for task in small_llava.TASKS for text in task.instructions]
    chosen = generator.integers(len(asked), size=16)
    assert len(set(chosen.tolist())) > 3
    total, count = 0.0, 0
    for picture, photo, i in zip(images_of(pictures), pictures.photos, chosen, strict=True):
        task, text = asked[i]
        prompt = processor.apply_chat_template(messages(picture, text), add_generation_prompt=True)
        whole = f"{prompt} {task.answer(7, photo)}{processor.tokenizer.eos_token}"
        inputs = processor(images=picture, text=whole, return_tensors="pt")
        told = len(processor(images=picture, text=prompt)["input_ids"][0])
        labels = inputs["input_ids"].clone()
        labels[:, :told] = -100
        tokens = labels.shape[1] - told
        total += model(**inputs, labels=labels).loss.item() * tokens
        count += tokens
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


@torch.no_grad()
def test_saved_twice_it_has_the_same_bytes_and_loads_offline(model, processor, pictures, tmp_path):
    from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

    for name in ("a", "b"):
        zoo.save(tmp_path / name, model.eval(), processor)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "a")
    assert type(loaded) is LlavaForConditionalGeneration
    again = AutoProcessor.from_pretrained(tmp_path / "a")
    assert type(again) is type(processor)
    prompt = again.apply_chat_template(messages(Image.new("RGB", (9, 9)), "Read."), add_generation_prompt=True)
    assert prompt == "USER: <image>\nRead. ASSISTANT:"
    inputs = again(images=images_of(pictures), text=[prompt] * 6, return_tensors="pt")
    expected = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    assert torch.equal(loaded.generate(**inputs, max_new_tokens=8, do_sample=False), expected)


def test_the_seed_draws_the_weights_and_the_tasks(processor):
    def first_loss(init, tasks):
        model = small_llava.build(tiny.vit(), processor, tiny.SETTINGS, init)
        return small_llava.batch_loss(model, processor, SEVENS, tasks, tiny.SETTINGS)(0)["loss"].item()

    assert first_loss(0, 0) == first_loss(0, 0)
    assert len({first_loss(0, 0), first_loss(0, 1), first_loss(1, 0)}) == 3


def test_training_teaches_to_answer_and_leaves_the_vision_encoder_alone(model, processor, tmp_path):
    from difflab.training.supervised import fit

    vision = model.model.vision_tower
    before = {name: value.clone() for name, value in vision.state_dict().items()}
    loss = small_llava.batch_loss(model, processor, SEVENS, 0, tiny.SETTINGS)
    fit(model, loss, tiny.TRAINING, scratch=tmp_path, what="instruct")
    assert all(torch.equal(value, before[name]) for name, value in vision.state_dict().items())
    metrics = small_llava.held_out_accuracy(model, processor, SEVENS[:20], seed=1)
    assert metrics["n"] == 20
    assert metrics["digit_accuracy"] == 1  # every picture shows a seven
    picture = images_of(blend.batch(SEVENS[:1], 3, "test", 0))
    captioner = InstructCaptioner(model, processor)
    asking = [tiny.asking(task.instructions[0], max_new_tokens=20) for task in small_llava.TASKS]
    answers = [captioner(picture, **one)[0] for one in asking]
    assert answers[2] == "It is seven."
    assert answers[0].startswith("The digit seven in front of ")
    assert answers[1].startswith("This picture shows a handwritten seven ")
    assert answers[3].startswith("There is ")


def test_accuracies_count_titles_and_answers(processor, monkeypatch):
    """Made-up answers: of four pictures one title is wrong in the digit, one in the photograph."""
    indices = np.arange(4)
    pictures = blend.batch(indices, 5, "zoo instruct held out", 0)
    shown = list(zip(pictures.digits.tolist(), pictures.photos.tolist(), strict=True))

    def answers(self, images, instruction, **lengths):
        task = next(one for one in small_llava.TASKS if instruction in one.instructions)
        told = list(shown)
        if task is small_llava.TITLE:
            told[0] = ((told[0][0] + 1) % 10, told[0][1])
            told[1] = (told[1][0], (told[1][1] + 1) % 12)
        return [task.answer(*one) for one in told]

    monkeypatch.setattr(InstructCaptioner, "__call__", answers)
    metrics = small_llava.held_out_accuracy(tiny.model(), processor, indices, seed=5)
    assert metrics == {"n": 4, "digit_accuracy": 0.75, "photo_accuracy": 0.75, "right_answers": 14 / 16}


@pytest.fixture
def stage_main(root, tmp_path, monkeypatch):
    """The stage, in a folder with a vision encoder."""
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    vision_encoder.save("models/zoo/vision_encoder", vision_encoder.VisionEncoder(tiny.vit(), {}))
    from stages.miniature.zoo_instruct import main

    return main


@pytest.fixture
def params(root):
    """Those of the profile smoke, two steps long."""
    params = validate(compose(["profile=smoke"], root / "conf"), "smoke")
    short = tiny.SETTINGS.model_copy(update={"training": tiny.TRAINING.model_copy(update={"steps": 2})})
    return params.model_copy(update={"zoo": params.zoo.model_copy(update={"instruct": short})})


def test_the_stage_learns_from_no_held_out_digit_and_from_none_of_a_recipe(stage_main, params, monkeypatch):
    learnt, original = [], small_llava.batch_loss

    def spy(model, processor, indices, *rest):
        learnt.append(set(indices.tolist()))
        return original(model, processor, indices, *rest)

    monkeypatch.setattr(small_llava, "batch_loss", spy)
    stage_main(RunningStage(**dict(params)))
    held_out = set(held_out_digits(params.split, params.seed).tolist())
    assert learnt == [set(untitled_digits(params.seed).tolist()) - held_out]
    metrics = read_json("metrics/zoo_instruct.json")
    assert (metrics["trained"], metrics["n"]) == (1, len(held_out))


def test_the_stage_writes_the_same_bytes_every_time(stage_main, params):
    hashes = []
    for scratch in ("first", "second"):
        stage_main(RunningStage(scratch, **dict(params)))
        hashes.append([sha256_file(path) for path in ("models/zoo/instruct", "metrics/zoo_instruct.json")])
    assert hashes[0] == hashes[1]


def test_with_a_released_model_the_stage_writes_a_pointer(stage_main, params, processor, model):
    zoo.save("released", model, processor)
    hub = HubRef(repo_id="released", revision=None, subfolder=None, allow_patterns=None)
    pointing = tiny.SETTINGS.model_copy(update={"hub": hub})
    pointed = params.zoo.model_copy(update={"instruct": pointing})
    stage_main(RunningStage(**dict(params) | {"zoo": pointed}))
    assert [path.name for path in Path("models/zoo/instruct").iterdir()] == ["source.json"]
    assert read_json("metrics/zoo_instruct.json") == {"trained": 0}

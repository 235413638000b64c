"""Captions by an instruction model: one chat for each picture, alone or in batches, of any class."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.core.base import roles
from difflab.core.base.errors import DifflabError
from difflab.core.params.common import HubRef
from difflab.miniature.data import blend
from difflab.miniature.zoo.small_llava import CHAT_TEMPLATE
from difflab.models.instruct_captioner import InstructCaptioner, load_instruct_captioner, messages
from difflab.models.language.answers import sentence
from difflab.models.pointers import write_pointer
from fakes import tiny_instruct as tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The role as the zoo writes it."""
    path = tmp_path_factory.mktemp("zoo") / "instruct"
    return tiny.saved(path)


@pytest.fixture(scope="module")
def captioner(folder):
    return load_instruct_captioner(folder, CPU, torch.float32)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    """20 pictures of three shapes."""
    shapes = [(32, 32), (48, 32), (40, 64)]
    pictures = blend.batch(np.arange(20), 0, "test", 0).images
    return [Image.fromarray(picture).resize(shapes[i % 3]) for i, picture in enumerate(pictures)]


@pytest.fixture(scope="module")
def tiled() -> InstructCaptioner:
    """Another released class, whose chats are longer for some pictures than for others: a LLaVA-NeXT."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaNextConfig, LlavaNextForConditionalGeneration
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
    from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor

    grids = [[32, 64], [64, 32], [64, 64]]
    tokenizer = tiny.processor().tokenizer
    side = {"height": tiny.SIZE, "width": tiny.SIZE}
    tiles = LlavaNextImageProcessorPil(size={"shortest_edge": tiny.SIZE}, crop_size=side, image_grid_pinpoints=grids)
    processor = LlavaNextProcessor(
        tiles, tokenizer, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=CHAT_TEMPLATE,
    )  # fmt: skip
    text = LlamaConfig(
        **tiny.SMALL.model_dump(), vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=tokenizer.eos_token_id
    )  # fmt: skip
    vision = CLIPVisionConfig(**tiny.SMALL.model_dump(), image_size=tiny.SIZE, patch_size=8)
    config = LlavaNextConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        image_token_index=processor.image_token_id,
        image_grid_pinpoints=grids,
    )
    torch.manual_seed(0)
    return InstructCaptioner(tiny.louder(LlavaNextForConditionalGeneration(config)), processor)


def test_the_chat_is_that_of_llava(captioner, images):
    """Against the wording of the example in `LlavaForConditionalGeneration.forward`."""
    chat = messages(images[0], "What is in the background?")
    prompt = captioner.processor.apply_chat_template(chat, add_generation_prompt=True)
    assert prompt == "USER: <image>\nWhat is in the background? ASSISTANT:"


def test_a_chat_begins_once_and_has_an_image_token_for_each_patch_that_the_model_shows(captioner, images):
    inputs = captioner.inputs(images[:3], "Read the digit.")
    tokenizer = captioner.processor.tokenizer
    features = captioner.model.get_image_features(pixel_values=inputs["pixel_values"]).pooler_output
    for row, feature in zip(inputs["input_ids"], features, strict=True):
        assert (row == tokenizer.bos_token_id).sum() == 1
        assert row[0] == tokenizer.bos_token_id
        assert (row == captioner.model.config.image_token_id).sum() == len(feature) == tiny.GRID**2


def test_a_caption_is_what_generate_writes_for_the_picture_alone(captioner, images):
    model, processor = captioner.model, captioner.processor
    for image in images[:6]:
        inputs = processor(images=image, text="USER: <image>\nRead the digit. ASSISTANT:", return_tensors="pt")
        tokens = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        expected = sentence(processor.tokenizer.decode(tokens, skip_special_tokens=True))
        assert captioner([image], **tiny.asking()) == [expected]


@pytest.mark.parametrize("kind", ["captioner", "tiled"])
@pytest.mark.parametrize("batch_size", [3, 20])
def test_the_batch_changes_no_caption(kind, batch_size, images, request):
    captioner = request.getfixturevalue(kind)
    alone = captioner(images, **tiny.asking(batch_size=1))
    assert len(set(alone)) > 4  # otherwise the test would show nothing
    assert captioner(images, **tiny.asking(batch_size=batch_size)) == alone


def test_shorter_chats_are_padded_left_and_masked(tiled, images):
    inputs = tiled.inputs(images, "Read the digit.")
    rows = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    lengths = []
    for (row, mask), image in zip(rows, images, strict=True):
        alone = tiled.inputs([image], "Read the digit.")["input_ids"][0]
        assert row[-len(alone) :].tolist() == alone.tolist()
        assert mask.tolist() == [0] * (len(row) - len(alone)) + [1] * len(alone)
        lengths.append(len(alone))
    assert len(set(lengths)) > 1


def test_the_instruction_is_what_the_model_is_asked(captioner, images):
    answers = [captioner(images, **tiny.asking(text)) for text in ("Read the digit.", "What is a good title?")]
    assert answers[0] != answers[1]


def test_settings_of_a_released_model_do_not_make_it_sample(folder, images):
    captioner = load_instruct_captioner(folder, CPU, torch.float32)
    expected = captioner(images, **tiny.asking())
    config = captioner.model.generation_config
    config.do_sample, config.temperature, config.top_p, config.num_beams = True, 5.0, 0.9, 3
    assert captioner(images, **tiny.asking()) == expected


def test_a_tokenizer_without_a_padding_token_pads_all_the_same(folder, images):
    processor = load_instruct_captioner(folder, CPU, torch.float32).processor
    processor.tokenizer.pad_token = None
    captioner = InstructCaptioner(tiny.model(), processor)
    assert captioner(images, **tiny.asking()) == captioner(images, **tiny.asking(batch_size=1))


def test_half_precision_captions(folder, images):
    captioner = load_instruct_captioner(folder, CPU, torch.bfloat16)
    assert captioner.model.dtype == captioner.inputs(images[:1], "Read the digit.")["pixel_values"].dtype
    assert len(set(captioner(images, **tiny.asking()))) > 1


def test_the_role_loads_through_a_pointer(folder, captioner, images, tmp_path):
    hub = HubRef(repo_id=str(folder), revision=None, subfolder=None, allow_patterns=None)
    write_pointer(tmp_path / "instruct", hub)
    pointed = load_instruct_captioner(roles.resolve(tmp_path / "instruct"), CPU, torch.float32)
    assert pointed(images[:4], **tiny.asking()) == captioner(images[:4], **tiny.asking())


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (["config.json"], "holds no instruction model"),
        (["processor_config.json"], "has no processor of pictures and text"),
        (["processor_config.json", "tokenizer.json", "tokenizer_config.json"], "has no processor of pictures"),
        (["chat_template.jinja"], "has no chat template"),
        (["model.safetensors"], "holds no model that reads pictures and text"),
    ],
)
def test_what_a_folder_lacks_is_one_line_with_its_remedy(folder, tmp_path, absent, message):
    shutil.copytree(folder, tmp_path / "role")
    for name in absent:
        (tmp_path / "role" / name).unlink()
    with pytest.raises(DifflabError, match=f"role {message}.*: run `dvc repro zoo_instruct`") as error:
        load_instruct_captioner(tmp_path / "role", CPU, torch.float32)
    assert "\n" not in str(error.value)


def test_a_preprocessor_for_pixels_of_another_range_is_refused(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "role") / "processor_config.json"
    said = json.loads(path.read_text())
    said["image_processor"]["image_std"] = [58.4, 57.1, 57.4]
    path.write_text(json.dumps(said))
    with pytest.raises(DifflabError, match=r"image_std of its preprocessor is .*: correct image_std"):
        load_instruct_captioner(tmp_path / "role", CPU, torch.float32)

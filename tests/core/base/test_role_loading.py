"""Consumers load a role through a pointer to the Hub as they load a local folder."""

import pytest
import torch

from difflab.cli.compose import compose, validate
from difflab.core.base import roles
from difflab.core.base.errors import DifflabError
from difflab.models.pointers import write_pointer
from fakes import zoo
from fakes.hub_cache import contents, hub, publish


@pytest.fixture(scope="module")
def smoke(root):
    return validate(compose(["profile=smoke"], root / "conf"), "test")


class TestEveryRoleLoadsThroughAPointer:
    """The loaders of the pipeline, on models of the real classes laid out as their repositories are."""

    @pytest.fixture
    def pointed(self, cache, tmp_path):
        """Publish a folder (under a prefix) and return what a pointer to it resolves to."""

        def pointed(folder, prefix="", subfolder=None, allow_patterns=None):
            repo_id = f"maker/{folder.name}"
            files = {**contents(folder, prefix), "README.md": b"#", "other/model.bin": b"pickle"}
            publish(cache, files, repo_id)
            ref = hub(repo_id, subfolder=subfolder, allow_patterns=allow_patterns)
            write_pointer(tmp_path / "models" / "zoo" / "role", ref)
            return roles.resolve(tmp_path / "models" / "zoo" / "role")

        return pointed

    def test_vae(self, smoke, tmp_path, pointed):
        from difflab.core.base.roles import load_vae
        from difflab.miniature.zoo import small_vae

        made = small_vae.build(smoke.zoo.vae, 0)
        made.save_pretrained(tmp_path / "made")
        same_weights(made, load_vae(pointed(tmp_path / "made", "vae/", subfolder="vae")))

    def test_transformer_and_scheduler(self, smoke, tmp_path, pointed):
        from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

        from difflab.core.base.roles import load_transformer
        from difflab.miniature.zoo import small_transformer
        from difflab.models.sampling.schedulers import load_scheduler

        sizes = {"latent_shape": (16, 8, 8), "joint_attention_dim": 32, "pooled_projection_dim": 24}
        made = small_transformer.build(smoke.zoo.transformer, 0, **sizes)
        made.save_pretrained(tmp_path / "made" / "transformer")
        FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(tmp_path / "made" / "scheduler")
        place = pointed(tmp_path / "made", allow_patterns=["transformer/*", "scheduler/*"])
        same_weights(made, load_transformer(place))
        assert load_scheduler(place).config.shift == 3.0

    def test_a_base_with_the_scheduler_of_another_kind_of_model_is_refused(self, tmp_path):
        from diffusers.schedulers import DDPMScheduler

        from difflab.models.sampling.schedulers import load_scheduler

        DDPMScheduler().save_pretrained(tmp_path / "scheduler")
        with pytest.raises(DifflabError, match="its scheduler is a DDPMScheduler"):
            load_scheduler(tmp_path)
        (tmp_path / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "Nothing"}')
        with pytest.raises(DifflabError, match="diffusers has no scheduler 'Nothing'"):
            load_scheduler(tmp_path)

    def test_text_encoders(self, smoke, tmp_path, pointed):

        from difflab.miniature.zoo.small_text_encoders import draw_text_models, save_text_models
        from difflab.sd3.caching.prompt_writer import TextEncoders

        save_text_models(tmp_path / "made", draw_text_models(smoke.zoo.text, 0))
        place = pointed(tmp_path / "made", allow_patterns=["text_encoder*/*", "tokenizer*/*"])
        local, remote = (TextEncoders(f, 16, "cpu", torch.float32) for f in (tmp_path / "made", place))
        for name, encoder in local.encoders.items():
            same_weights(encoder, remote.encoders[name])
        captions = ["a handwritten three over a photo of coffee", ""]
        expected, found = (t.encode(captions, 2) for t in (local, remote))
        assert all(torch.equal(expected[key], found[key]) for key in expected)

    def test_vision_encoder_and_blip2(self, smoke, tmp_path, pointed):

        from difflab.miniature.zoo import small_blip2, small_vision_encoder
        from difflab.models.blip2 import load
        from difflab.models.vision import vision_encoder

        made = small_vision_encoder.build(smoke.zoo.vision_encoder, 0)
        (tmp_path / "vision_encoder").mkdir()
        vision_encoder.save(tmp_path / "vision_encoder", made)
        loaded = vision_encoder.load(pointed(tmp_path / "vision_encoder"))
        same_weights(made, loaded)

        processor = small_blip2.build_processor(made.preprocess, smoke.zoo.blip2.num_query_tokens)
        model = small_blip2.build(made.vit, processor, smoke.zoo.blip2, 0)
        zoo.save(tmp_path / "blip2", model, processor)
        captioner = load(pointed(tmp_path / "blip2"), torch.device("cpu"), torch.float32)
        same_weights(model, captioner.model)

    def test_llama(self, smoke, tmp_path, pointed):

        from difflab.miniature.zoo import small_rewriter
        from difflab.models.language.rewriter import Rewriter

        model, tokenizer = small_rewriter.build(smoke.zoo.llama, 0)
        rewriter = Rewriter(pointed(zoo.save(tmp_path / "made", model, tokenizer)), torch.device("cpu"), torch.float32)
        same_weights(model, rewriter.model)
        chat = [{"role": "user", "content": "a cat"}]
        expected = tokenizer.apply_chat_template(chat, tokenize=False)
        assert rewriter.tokenizer.apply_chat_template(chat, tokenize=False) == expected


def same_weights(made, loaded):

    expected, found = made.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)

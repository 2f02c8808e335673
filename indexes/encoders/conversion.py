"""Converts a sentence-transformers model for OpenVINO, once, and trusts the result only if its vectors are the same."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EncoderError
from . import cache
from .base import Role, clean
from .batching import batches
from .compiled import MODEL, TOKENIZER, CompiledBackend, settings
from .files import ModelFolder
from .processor import Precision, machine_code, openvino
from .quantisation import quantise
from .reference import TorchBackend
from .samples import CALIBRATION, CHECKS

_VERSION = 1  # of what is written; another number converts again
_REFUSED = "refused"
# Modules that are traced with the transformer; all others keep torch.
_TRACED = frozenset({"Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout"})
# Least and mean cosine to torch on CHECKS below which a conversion is not used.
_LEAST = {Precision.FLOAT32: 0.9999, Precision.BFLOAT16: 0.999, Precision.INT8: 0.97}
_MEAN = {Precision.FLOAT32: 0.9999, Precision.BFLOAT16: 0.9995, Precision.INT8: 0.99}

_HINT = "set FATHOM_ENCODER=torch to compute by sentence-transformers"


def converted(model: ModelFolder, precision: Precision) -> CompiledBackend:
    """The model in a precision, from the cache or converted now.

    Raises EncoderError where it cannot be converted or its vectors differ; that is remembered for this version.
    """
    library = openvino()
    code = machine_code(f"{library.__version__} {_VERSION}")
    folder = cache.cache_folder() / f"{model.fingerprint[:16]}-{precision}-{code}"
    for _ in range(2):
        facts = cache.read(folder) or _convert(model, precision, folder)
        if _REFUSED in facts:
            raise EncoderError(str(facts[_REFUSED]), _HINT)
        try:
            return CompiledBackend(folder, facts)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError):
            (folder / cache.MANIFEST).unlink(missing_ok=True)  # whole, and yet not usable: made once more
    raise EncoderError(f"OpenVINO does not load what it wrote to {folder}", _HINT)


def _convert(model: ModelFolder, precision: Precision, folder: Path) -> Mapping[str, Any]:
    def fill(aside: Path) -> Mapping[str, Any]:
        try:
            return _fill(aside, model, precision)
        except EncoderError as error:
            for path in aside.iterdir():
                path.unlink()
            return {_REFUSED: str(error)}

    try:
        cache.write(folder, fill)
    except OSError as error:
        raise EncoderError(
            f"the cache folder {folder.parent} cannot be written: {error}", "set FATHOM_CACHE"
        ) from error
    return cache.read(folder) or {_REFUSED: f"{folder} changed while it was written"}


def _fill(folder: Path, model: ModelFolder, precision: Precision) -> dict[str, Any]:
    """Model, tokenizer and facts of a conversion, checked. Raises EncoderError with the reason where that fails."""
    reference = TorchBackend(model, "conversion")
    tokenizer, pad_id = _tokenizer(reference)
    tokenizer.save(str(folder / TOKENIZER))
    inputs = _calibration(tokenizer, pad_id)
    try:
        traced = _traced(reference, inputs[0])
        if precision is Precision.INT8:
            quantise(traced, inputs)
        blob = openvino().Core().compile_model(traced, "CPU", settings(precision)).export_model()
    except Exception as error:  # tracing runs a model's own code, which may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise EncoderError(f"OpenVINO cannot convert {model.name!r}: {reason}", _HINT) from error
    (folder / MODEL).write_bytes(blob.getvalue())
    facts: dict[str, Any] = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "precision": precision.value,
        "dimension": reference.dimension,
        "max_tokens": reference.max_tokens,
        "pad_id": pad_id,
        "prompts": {role.value: model.prompt(role) for role in Role},
        "cosine_mean": 1.0,
        "cosine_least": 1.0,
    }
    cosines = _cosines(CompiledBackend(folder, facts), reference)
    facts |= {"cosine_mean": float(cosines.mean()), "cosine_least": float(cosines.min())}
    if not (cosines.mean() >= _MEAN[precision] and cosines.min() >= _LEAST[precision]):  # NaN is refused too
        raise EncoderError(
            f"OpenVINO {precision} gives other vectors for {model.name!r}: cosine {cosines.mean():.4f}, least"
            f" {cosines.min():.4f}, expected {_MEAN[precision]} and {_LEAST[precision]}",
            _HINT,
        )
    return facts


def _tokenizer(reference: TorchBackend) -> tuple[Any, int]:
    """The model's tokenizer with its limit, without padding, and the id that pads."""
    from tokenizers import Tokenizer

    kinds = {type(module).__name__ for module in reference.model}
    if not kinds <= _TRACED or any(getattr(module, "include_prompt", True) is False for module in reference.model):
        raise EncoderError(f"only torch runs its modules: {', '.join(sorted(kinds))}", _HINT)
    fast = getattr(reference.model.tokenizer, "backend_tokenizer", None)
    if not isinstance(fast, Tokenizer) or reference.max_tokens is None:
        raise EncoderError("it has no tokenizer of the fast kind, or no limit of its length", _HINT)
    copy = Tokenizer.from_str(fast.to_str())
    copy.no_padding()
    copy.enable_truncation(reference.max_tokens)
    return copy, int(reference.model.tokenizer.pad_token_id or 0)


def _calibration(tokenizer: Any, pad_id: int) -> list[Mapping[str, npt.NDArray[np.int64]]]:
    """Model inputs: the sample texts, and as many with random words, for models of other languages and subjects."""
    generator = np.random.default_rng(0)
    tokens = []
    for encoding in tokenizer.encode_batch(list(CALIBRATION)):
        ids = np.asarray(encoding.ids)
        words = np.asarray(encoding.special_tokens_mask) == 0
        tokens.append(ids.tolist())
        tokens.append(np.where(words, generator.integers(tokenizer.get_vocab_size(), size=ids.size), ids).tolist())
    return [_inputs(batch.ids, batch.mask) for batch in batches(range(len(tokens)), tokens, pad_id)]


def _inputs(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Mapping[str, npt.NDArray[np.int64]]:
    return {"input_ids": ids, "attention_mask": mask}


def _traced(reference: TorchBackend, example: Mapping[str, npt.NDArray[np.int64]]) -> Any:
    """The whole model, pooling and all, as a graph of OpenVINO with one output: unit vectors [texts, dimension]."""
    import torch

    openvino()
    # Not `convert_model`, which reports its use to a statistics server.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # torch has types in some of its builds only; without them its classes are Any.
    class Whole(torch.nn.Module):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.modules_in_order = torch.nn.ModuleList(reference.model)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            for module in self.modules_in_order:
                features = module(features)
            vectors = features["sentence_embedding"][:, : reference.dimension]
            return torch.nn.functional.normalize(vectors, p=2.0, dim=1)

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a trace warns of every shape that it sees; the check below is what counts
        inputs = {name: torch.from_numpy(value) for name, value in example.items()}
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(Whole().eval(), example_input=inputs)
        return frontend.convert(frontend.load(decoder))


def _cosines(backend: CompiledBackend, reference: TorchBackend) -> npt.NDArray[np.float32]:
    """Of both backends' vectors on the built-in texts, in both roles."""
    texts = [clean(text) for text in CHECKS]
    pairs = [
        (backend.encode(texts, role, lambda _: None), reference.encode(texts, role, lambda _: None)) for role in Role
    ]
    return np.concatenate([(ours * theirs).sum(axis=1) for ours, theirs in pairs])

"""vLLM in this process: on a GPU if there is one, else on the CPU in float32."""

import gc
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .attention import plugin
from .base import Completion, Delta, EngineInfo, Message, Sampling, Timings, Usage
from .chat.tokenizer import ChatTokenizer
from .errors import ContextError, EngineReplyError, EngineStartError
from .estimates.devices import STEP_TOKENS
from .models.resolution import ModelFiles
from .preview import (
    CPU,
    FATHOM,
    FP8,
    EmbeddedSettings,
    bytes_per_token,
    device_name,
    parameter_count,
    reliable_tokens,
    stretched,
)
from .quiet import captured
from .rope.config import rope_kind
from .rope.context import plan_context
from .rope.settings import vllm_overrides
from .surroundings import SAFE_PATH, elsewhere, go_offline

# One user, one question at a time: small batches keep the profiling run at the start short.
_CPU_SEQUENCES = 4
_GPU_SEQUENCES = 16
# CUDA graphs for decode and no torch.compile: a minute less at the start, decode within a tenth (docs/results.md).
GPU_COMPILATION = {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}
_CPU_BATCHED_TOKENS = 1024
# Between these numbers of tokens, written this many times in a row, is a loop: the request ends ("repetition").
_LOOP_TOKENS, _LOOP_TOKENS_LEAST, _LOOP_TIMES = 64, 4, 3


class EmbeddedEngine:
    """An Engine around vLLM's LLMEngine, stepped in this process, so that streaming needs no server."""

    def __init__(
        self,
        model: ModelFiles,
        settings: EmbeddedSettings,
        log: Path,
        on_stage: Callable[[str], None] = lambda _: None,
        tokenizer: ChatTokenizer | None = None,
    ) -> None:
        """Starts vLLM, 10 to 30 s on a CPU; `on_stage` is called with each stage, vLLM's own output goes to `log`.

        Raises EngineStartError, and ContextError where `needed_tokens` are beyond the model's reach.
        """
        self._plan = plan_context(model.config, settings.needed_tokens)
        if find_spec("vllm") is None:
            raise EngineStartError(
                "vLLM is not installed, so there is no embedded engine",
                "install fathom-rag[cpu] or fathom-rag[gpu], or use a server with --engine URL",
            )
        started = time.monotonic()
        try:
            with captured(log), elsewhere(), _no_collection():
                on_stage("loading vLLM")
                _environment(settings)
                from vllm import LLMEngine

                go_offline()
                imported = time.monotonic()
                on_stage(f"starting {model.name}")
                device = device_name()
                if device != CPU and settings.kv_dtype in FP8:
                    _offer_attention()
                arguments = self._arguments(model, settings, gpu=device != CPU)
                self._engine: Any = LLMEngine.from_engine_args(arguments)
                self._tokenizer = tokenizer or ChatTokenizer(model.folder)
        except Exception as error:  # vLLM raises many kinds while it starts
            reason = _reason(error)
            raise EngineStartError(f"vLLM did not start: {reason}", f"its output is in {log}") from error
        start = {"import": imported - started, "engine": time.monotonic() - imported}
        logging.getLogger("vllm").setLevel(logging.ERROR)  # the log has its story; the terminal is the user's
        self._info = self._describe(model, device, start)
        if notice := _other_cache(self._info, settings, log):
            on_stage(notice)
        self._count = 0

    def _arguments(self, model: ModelFiles, settings: EmbeddedSettings, gpu: bool) -> Any:
        from vllm.engine.arg_utils import EngineArgs

        common: dict[str, Any] = {
            "model": str(model.folder),
            "trust_remote_code": False,
            "load_format": "safetensors",
            # As long as the plan's config and the memory for the KV cache allow; of a config's own dynamic scaling vLLM
            # derives more than it has positions for.
            "max_model_len": self._plan.max_model_tokens if rope_kind(model.config) == "dynamic" else -1,
            "hf_overrides": vllm_overrides(model.config, self._plan),
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "enable_prefix_caching": None if settings.prefix_cache else False,  # None: where vLLM can
            "seed": 0,
        }
        if gpu:
            return EngineArgs(
                **common,
                dtype="auto",
                kv_cache_dtype=settings.kv_dtype,
                attention_backend=plugin.BACKEND if settings.kv_dtype in FP8 else None,
                gpu_memory_utilization=settings.gpu_memory_utilization,
                max_num_seqs=_GPU_SEQUENCES,
                max_num_batched_tokens=STEP_TOKENS,
                compilation_config=GPU_COMPILATION,
            )
        return EngineArgs(
            **common,
            dtype="float32",
            enforce_eager=True,
            max_num_seqs=_CPU_SEQUENCES,
            max_num_batched_tokens=_CPU_BATCHED_TOKENS,
        )

    def _describe(self, model: ModelFiles, device: str, start: dict[str, float]) -> EngineInfo:
        config = self._engine.vllm_config
        cache = config.cache_config
        dtype = str(config.model_config.dtype).removeprefix("torch.")
        kv_dtype = dtype if cache.cache_dtype == "auto" else str(cache.cache_dtype)
        attention = _attention(config)
        page = int(cache.block_size) if attention == FATHOM else None
        return EngineInfo(
            model=model.name,
            backend="vllm",
            device=device,
            max_model_tokens=int(config.model_config.max_model_len),
            native_tokens=self._plan.native_tokens,
            dtype=dtype,
            attention=attention,
            kv_dtype=kv_dtype,
            kv_tokens=int(cache.num_gpu_blocks) * int(cache.block_size),
            kv_block_tokens=int(cache.block_size),
            kv_bytes_per_token=bytes_per_token(model, kv_dtype, page),
            rope=stretched(model.config, self._plan),
            reliable_tokens=reliable_tokens(model, self._plan, kv_dtype, attention),
            parameters=parameter_count(model),
            start_s=start,
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    def count_tokens(self, text: str) -> int:
        return self._tokenizer.count(text)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._tokenizer.render(messages))

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[Delta]:
        prompt = self._tokenizer.render(messages)
        if len(prompt) + sampling.max_tokens > self._info.max_model_tokens:
            raise ContextError(
                f"the prompt of {len(prompt):,} tokens and {sampling.max_tokens:,} for the answer exceed the "
                f"{self._info.max_model_tokens:,} that the engine was started for",
                "use --route chunked, or a smaller [reading] budget",
            )
        if self._engine.has_unfinished_requests():
            raise EngineReplyError("the engine is still writing another answer", "end or close that stream first")
        self._count += 1
        return self._run(f"fathom-{self._count}", prompt, sampling)

    def _run(self, request: str, prompt: list[int], sampling: Sampling) -> Iterator[Delta]:
        from vllm import SamplingParams
        from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind

        parameters = SamplingParams(
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            repetition_penalty=sampling.repetition_penalty,
            stop=list(sampling.stop),
            seed=sampling.seed,
            repetition_detection=RepetitionDetectionParams(
                max_pattern_size=_LOOP_TOKENS, min_pattern_size=_LOOP_TOKENS_LEAST, min_count=_LOOP_TIMES
            ),
            output_kind=RequestOutputKind.DELTA,
        )
        started, first = time.monotonic(), None
        parts: list[str] = []
        tokens = 0
        self._engine.add_request(request, {"prompt_token_ids": prompt}, parameters)
        try:
            while self._engine.has_unfinished_requests():
                for output in self._engine.step():
                    piece = output.outputs[0]
                    now = time.monotonic()
                    first = first or now
                    tokens += len(piece.token_ids)
                    parts.append(piece.text)
                    completion = None
                    if output.finished:
                        completion = Completion(
                            text="".join(parts),
                            finish_reason=piece.finish_reason or "stop",
                            usage=Usage(len(prompt), tokens, int(output.num_cached_tokens or 0)),
                            timings=Timings(first - started, now - first),
                        )
                    yield Delta(piece.text, completion)
        finally:
            self._engine.abort_request([request])  # nothing to do where it is finished

    def free_kv_tokens(self) -> int | None:
        pool = self._engine.engine_core.engine_core.scheduler.kv_cache_manager.block_pool
        return int(pool.get_num_free_blocks()) * int(self._info.kv_block_tokens or 0)

    def close(self) -> None:
        """Shuts vLLM down; its farewell goes nowhere."""
        core = getattr(self._engine, "engine_core", None)
        if core is not None:
            core.shutdown()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pauses Python's garbage collector: importing vLLM makes millions of objects that stay, and it would visit all
    of them again and again. Afterwards they are left out of its rounds for good."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _reason(error: Exception) -> str:
    """The line of an error that says why; validation errors end with a link and wrap the reason in brackets."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith("Value error, ")]
    if reasons:
        return reasons[0].removeprefix("Value error, ").split(" [type=")[0][:300]
    return (lines or [type(error).__name__])[-1][:300]


def _environment(settings: EmbeddedSettings) -> None:
    """What vLLM reads from the environment: in process, silent, offline, and on all cores."""
    go_offline()
    threads = settings.threads or len(os.sched_getaffinity(0))
    os.environ.update(
        VLLM_ENABLE_V1_MULTIPROCESSING="0",
        VLLM_NO_USAGE_STATS="1",
        **{SAFE_PATH: "1"},  # the children that vLLM starts import nothing from the working folder
        DO_NOT_TRACK="1",
        TOKENIZERS_PARALLELISM="false",
        VLLM_CPU_KVCACHE_SPACE=str(settings.kv_cache_gib),
        OMP_NUM_THREADS=str(threads),
    )
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO")


def _offer_attention() -> None:
    """Makes fathom's attention known to vLLM, which may have served another model in this process before."""
    plugin.register()
    from .attention.selection import Selection

    Selection.forget()


def _other_cache(info: EngineInfo, settings: EmbeddedSettings, log: Path) -> str | None:
    """What to say where an FP8 cache was asked for and it is not fathom's attention that keeps it."""
    if settings.kv_dtype not in FP8 or info.attention == FATHOM:
        return None
    if info.device == CPU:
        return "an FP8 cache needs a GPU: the cache is float32"
    return f"fathom's attention does not serve {info.model}: its FP8 cache is vLLM's own, {log} says why"


def _attention(config: Any) -> str | None:
    """Who computes attention in this vLLM: "fathom", or vLLM's names where layers differ joined by commas."""
    layers = config.compilation_config.static_forward_context.values()
    found = {layer.get_attn_backend().get_name() for layer in layers if hasattr(layer, "get_attn_backend")}
    return ", ".join(sorted(FATHOM if name == plugin.BACKEND else name for name in found)) or None

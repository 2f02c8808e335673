"""What vLLM calls in each of its processes: makes fathom's attention known under the name CUSTOM."""

import logging

SUPPORTED_VLLM = "0.32"  # the interface of attention backends changes between versions
BACKEND = "CUSTOM"  # the name that vLLM keeps for a backend from outside
SELECTION = "engine.attention.selection.Selection"

_log = logging.getLogger("vllm.fathom")


def register() -> None:
    """Registers the backend, where this vLLM is the version it was written for and CUSTOM is free.

    Never raises: vLLM calls it in all its processes, also for those who never ask for the backend.
    """
    try:
        _register()
    except Exception:
        _log.exception("fathom's attention could not be registered")


def _register() -> None:
    from vllm import __version__

    if ".".join(__version__.split(".")[:2]) != SUPPORTED_VLLM:
        _log.info("fathom's attention is for vLLM %s, this is %s: not registered", SUPPORTED_VLLM, __version__)
        return
    from vllm.v1.attention.backends.registry import AttentionBackendEnum, register_backend

    custom = AttentionBackendEnum.CUSTOM
    if custom.is_overridden() and custom.get_path() != SELECTION:
        _log.warning(
            "the attention backend CUSTOM is %s already: fathom's is not registered; VLLM_PLUGINS=fathom leaves "
            "other plugins out",
            custom.get_path(),
        )
        return
    register_backend(custom, SELECTION)

"""What fits, told: tables for the terminal and a picture."""

from collections.abc import Callable

from engine.estimates.capacity import CHUNKED_TOKENS, CacheRow, Capacity, Fit

from ..charts import Panel, plot


def capacity_lines(found: Capacity) -> list[str]:
    """Tables of formats and contexts, times, and what a long request displaces."""
    many = f"{found.gpus} × " if found.gpus > 1 else ""
    each = " a GPU" if found.gpus > 1 else ""
    first = found.rows[0]
    lines = [
        f"{found.model} on {many}{found.device}: {found.weight_bytes / 1e9:.1f} GB of weights, "
        f"{found.cache_bytes / 1e9:.1f} GB for the KV cache{each}"
    ]
    if found.state_bytes:
        lines.append(f"and {found.state_bytes / 1e6:.1f} MB of state a request, whatever its length")
    heads = "".join(f"{fit.tokens:>10,}" for fit in first.fits)
    lines += ["", f"{'requests at once':<20}{'bytes a token':>15}{'longest':>10}{heads}"]
    for row in found.rows:
        cells = "".join(f"{fit.at_once:>10,}" for fit in row.fits)
        lines.append(f"{row.dtype:<20}{row.bytes_per_token:>15,}{row.longest_tokens:>10,}{cells}")
    if any(fit.first_token_s is not None for fit in first.fits):
        lines += [
            "",
            f"{first.dtype + ', at the rates of the device':<45}{heads}",
            _times("seconds to the first token", first, lambda fit: fit.first_token_s),
            _times("tokens a second, one request", first, lambda fit: fit.decode_tokens_s),
            _times("tokens a second, all that fit", first, lambda fit: fit.decode_all_tokens_s),
            "(a bound: models of a few layers or little width do not reach these rates)",
        ]
    longest = max(first.fits, key=lambda fit: fit.tokens)
    told = f"A request of {longest.tokens:,} tokens takes {longest.request_bytes / 1e9:.2f} GB{each}"
    if longest.at_once:
        told += f" and displaces {found.displaced:,} chunked questions of {CHUNKED_TOKENS:,}."
    else:
        told += f", and there are {found.cache_bytes / 1e9:.2f} GB: it does not fit."
    return [*lines, "", told]


def capacity_plot(found: Capacity) -> str:
    """An SVG: requests at once by context and format, and predicted times of the first format."""
    first = found.rows[0]
    panels = [
        Panel("Requests at once", {row.dtype: [(fit.tokens, fit.at_once) for fit in row.fits] for row in found.rows}),
        Panel(
            "GB of a request",
            {row.dtype: [(fit.tokens, fit.request_bytes / 1e9) for fit in row.fits] for row in found.rows},
        ),
        Panel(
            "Seconds to the first token, predicted",
            {first.dtype: [(fit.tokens, fit.first_token_s or 0.0) for fit in first.fits]},
        ),
        Panel(
            "Tokens a second, predicted",
            {
                "one": [(fit.tokens, fit.decode_tokens_s or 0.0) for fit in first.fits],
                "all": [(fit.tokens, fit.decode_all_tokens_s or 0.0) for fit in first.fits],
            },
        ),
    ]
    note = f"{found.cache_bytes / 1e9:.1f} GB for the KV cache of each of {found.gpus} GPU(s); x: tokens of a request."
    return plot(f"{found.model} on {found.device}", note, panels)


def _times(label: str, row: CacheRow, value: Callable[[Fit], float | None]) -> str:
    return f"{label:<45}" + "".join(f"{_short(value(fit)):>10}" for fit in row.fits)


def _short(value: float | None) -> str:
    """A number of any size in at most seven characters."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

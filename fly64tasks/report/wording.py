"""Numbers in words: doses, scores, durations, sizes, as tables and sentences show them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fly64tasks.score.metric import Metric

ASSUMED = "(assumed)"
"""Beside a length that rests on a pixel size that nobody measured."""
NONE = "–"
MINUS = "−"
HARD_SPACE = "\u00a0"
UNRESOLVED = "none"
"""In place of a score that is worse than could be seen: its limit is not it."""
NAMED = 6
"""So many of a list are named."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def dose_text(dose: float) -> str:
    """Return a dose, short.

    >>> dose_text(1e3), dose_text(2e5), dose_text(2500.0), dose_text(12345.0)
    ('10³', '2·10⁵', '2,500', '12,345')
    """
    exponent = len(str(int(dose))) - 1
    mantissa = dose / 10**exponent
    if exponent < 3 or mantissa != int(mantissa):
        return f"{dose:,.0f}"
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if mantissa == 1 else f"{mantissa:.0f}·{power}"


def quantity_text(value: float) -> str:
    """Return a positive quantity with two digits.

    >>> [quantity_text(value) for value in (450000.0, 1e5, 880.0, 11.2, 0.0189, 0.00012, 0)]
    ['4.5·10⁵', '10⁵', '880', '11', '0.019', '1.2·10⁻⁴', '0']
    """
    mantissa, exponent = f"{value:.1e}".split("e")
    if -4 < int(exponent) < 3 or not value:
        return f"{float(f'{value:.2g}'):g}"
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return power if mantissa == "1.0" else f"{float(mantissa):g}·{power}"


def signed_text(value: float, decimals: int) -> str:
    """Return a number with so many decimals, a true minus, and no sign where it rounds to zero.

    >>> signed_text(-0.25, 2), signed_text(-0.00001, 2)
    ('−0.25', '0.00')
    """
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", MINUS)


def score_text(metric: Metric, value: float | None, *, is_bound: bool = False) -> str:
    """Return a score with the decimals that suit its unit, without the unit.

    >>> from fly64tasks.score.scorecard import metric
    >>> nrmse, frequency = metric("complex_nrmse"), metric("frc_0p5_cycles_per_px")
    >>> score_text(nrmse, 0.08734), score_text(nrmse, 1.2e-6), score_text(nrmse, None)
    ('0.0873', '1.2e−06', '–')
    >>> score_text(frequency, 0.5, is_bound=True)
    '≥ 0.500'
    """
    if value is None:
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    decimals = metric.decimals
    text = f"{value:.{decimals}f}"
    if value and abs(value) < 10.0**-decimals:
        text = f"{value:.2g}"
    if is_bound:
        text = f"{'≥' if metric.better == 'higher' else '≤'} {text}"
    return text.replace("-", MINUS)


def signed_score_text(metric: Metric, value: float) -> str:
    """Return a difference of scores with its sign, a bare 0 where there is none to the last digit.

    >>> from fly64tasks.score.scorecard import metric
    >>> [signed_score_text(metric("complex_nrmse"), value) for value in (0.02, -0.02, 0.0)]
    ['+0.0200', '−0.0200', '0']
    """
    text = score_text(metric, value) if value else "0"
    return f"+{text}" if value > 0 else text


def unit_text(metric: Metric, *, assumed: bool) -> str:
    """Return a score's unit; ``assumed`` says that the pixel size is, on which lengths rest.

    >>> from fly64tasks.score.scorecard import metric
    >>> unit_text(metric("frc_halfbit_period_nm"), assumed=True)
    'nm (assumed)'
    >>> unit_text(metric("amplitude_psnr_db"), assumed=True)
    'dB'
    """
    return f"{metric.unit} {ASSUMED}" if metric.is_length and assumed else metric.unit


def with_unit(text: str, unit: str) -> str:
    """Return a score's text with its unit, where it has both."""
    return f"{text} {unit}" if unit and text not in (NONE, UNRESOLVED) else text


def duration_text(seconds: float) -> str:
    """Return a duration.

    >>> duration_text(1.803), duration_text(39.2), duration_text(292.0), duration_text(7300)
    ('1.8 s', '39 s', '4 min 52 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def bytes_text(count: float) -> str:
    """Return a size in memory.

    >>> bytes_text(1154002944), bytes_text(6_000_000)
    ('1.2 GB', '6 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def listed(items: Sequence[str], conjunction: str = "and") -> str:
    """Return items as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"


def first_of(named: Sequence[str]) -> str:
    """Return the first few of what is named, and how many more there are."""
    more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
    return "; ".join([*named[:NAMED], *more])


def in_sentence(label: str) -> str:
    """Return a label as it stands within a sentence.

    >>> in_sentence("Complex NRMSE"), in_sentence("FRC 0.5"), in_sentence("R-factor")
    ('complex NRMSE', 'FRC 0.5', 'R-factor')
    """
    return label[0].lower() + label[1:] if label[1:2].islower() else label


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "job"), counted(2, "job")
    ('1 job', '2 jobs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

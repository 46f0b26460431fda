"""A reliability diagram as a small SVG, to stand in a page."""

from __future__ import annotations

import typing

from tfcl.metrics.calibration import expected_calibration_error
from tfcl.reporting import tables

if typing.TYPE_CHECKING:
    from tfcl.metrics.calibration import CalibrationBins


_SIDE = 100.0


def reliability_svg(bins: CalibrationBins) -> str:
    """Accuracy over confidence, a bar per bin, with the diagonal.

    A bar is as dark as its bin has examples; a line in it is the mean
    confidence. Bars on the diagonal are calibrated; below it, answers are
    surer than they are right.

    Args:
        bins: `CalibrationBins`.
    """
    width = _SIDE / len(bins.counts)
    most = max(int(bins.counts.max(initial=0)), 1)
    drawn = ""
    for number, count in enumerate(bins.counts):
        if not count:
            continue
        height = _SIDE * bins.accuracies[number]
        left, shade = number * width, 0.25 + 0.75 * count / most
        level = _SIDE * (1.0 - bins.confidences[number])
        drawn += (
            f'<rect x="{left:.1f}" y="{_SIDE - height:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}" fill="#0072b2" '
            f'fill-opacity="{shade:.2f}"><title>{count} answers, '
            f"{tables.percent(bins.accuracies[number])} % right, "
            f"{tables.percent(bins.confidences[number])} % sure</title></rect>"
            f'<path d="M{left:.1f} {level:.1f}h{width:.1f}" stroke="#d55e00" '
            'stroke-width="1.2"/>'
        )
    error = tables.percent(expected_calibration_error(bins))
    label = f"reliability diagram, expected calibration error {error} %"
    words = 'fill="currentColor" font-size="6"'
    return (
        f'<svg class="curve" viewBox="-14 -4 118 124" role="img" '
        f'aria-label="{label}">{drawn}'
        f'<path d="M0 {_SIDE:.0f}L{_SIDE:.0f} 0" stroke="currentColor" '
        'stroke-width=".5" stroke-dasharray="2 2" fill="none"/>'
        '<path d="M0 0V100H100" stroke="currentColor" stroke-width=".5" '
        'fill="none"/>'
        f'<text x="-3" y="3" text-anchor="end" {words}>100</text>'
        f'<text x="-3" y="101" text-anchor="end" {words}>0</text>'
        f'<text x="50" y="109" text-anchor="middle" {words}>how sure, %</text>'
        f'<text x="100" y="109" text-anchor="end" {words}>100</text>'
        f'<text x="-6" y="50" text-anchor="middle" {words} '
        'transform="rotate(-90 -6 50)">how often right, %</text></svg>'
        f'<p class="soft">Expected calibration error {error} %. Bars: '
        "accuracy; orange: mean probability; darker: more answers.</p>"
    )

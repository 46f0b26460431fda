"""The reliability diagram, bar by bar."""

import re
import xml.etree.ElementTree

import numpy as np

from tfcl.metrics.calibration import calibration_bins
from tfcl.reporting.answers.reliability import reliability_svg


def test_a_bar_per_bin_that_has_answers():
    scores = np.array([0.25, 0.25, 0.75, 0.75, 0.75, 0.75])
    bins = calibration_bins(scores, np.array([0, 1, 1, 1, 1, 0]), bins=2)
    text = reliability_svg(bins)
    svg = xml.etree.ElementTree.fromstring(text[: text.index("</svg>") + 6])
    bars = [bar.attrib for bar in svg.iter("rect")]
    found = [[float(b[k]) for k in ("x", "y", "width", "height")] for b in bars]
    assert found == [[0, 50, 50, 50], [50, 25, 50, 75]]
    # Twice as many answers: darker.
    assert [b["fill-opacity"] for b in bars] == ["0.62", "1.00"]
    # The second bin is calibrated, the first is surer than 25 points off.
    assert "calibration error 8.3 %" in svg.attrib["aria-label"]
    levels = re.findall(r'd="M[\d.]+ ([\d.]+)h', text)
    assert levels == ["75.0", "25.0"]
    assert "4 answers, 75.0 % right, 75.0 % sure" in text


def test_without_answers_there_are_axes_alone():
    bins = calibration_bins(np.zeros(0), np.zeros(0, bool))
    text = reliability_svg(bins)
    assert "<rect" not in text and "error – %" in text

"""The section of a report that shows answers: what it says, how large it is."""

import html.parser
import time

import numpy as np

from tests.reporting.answers import told
from tfcl.reporting.answers.answers import Answers, VisitAnswers
from tfcl.reporting.answers.section import answers_section


class _Page(html.parser.HTMLParser):
    """Collects cells, words and images, and checks that tags are balanced."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.words, self.cells, self.images = [], [], [], []
        self.folded = 0
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "br":
            self.open.append(tag)
        self.folded += tag == "details" and "open" not in dict(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] == "td":
            self.cells.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def test_classes_confusions_mistakes_and_calibration_of_both_moments():
    page = _Page(
        answers_section(
            [
                ("pets", told.NAMES, told.visit_answers()),
                ("lost", told.NAMES, VisitAnswers()),
                ("kept", told.NAMES, told.same_answers()),
            ]
        )
    )
    assert page.folded == 2 and "lost" not in page.text
    assert (
        "1. pets: when learned 50.0 % right, calibration error 56.2 %; at the "
        "end 33.3 % right, calibration error 41.7 %"
    ) in page.text
    assert "3. kept" in page.text and "the same at the end" in page.text
    # The worst classes come first; forgetting is told class by class.
    assert page.cells[:15] == [
        *("cat", "33.3", "0.0", "−33.3", "3"),
        *("<b>cow", "0.0", "0.0", "0.0", "1"),
        *("dog", "100.0", "100.0", "0.0", "2"),
    ]
    # The confusion matrix when learned, then that of the end.
    assert page.cells[15:19] == ["1", "2", "2", "1"]
    assert page.cells[19:22] == ["3", "2", "1"]
    sheet = [image["title"] for image in page.images[:6]]
    assert sheet == [f"test image {row}" for row in (2, 1, 5, 3, 0, 4)]
    assert all(image["loading"] == "lazy" for image in page.images)
    assert "as dog" in page.text and "87.5 %" in page.text


def test_without_images_the_reason_is_told():
    blind = told.learned(images={}, without_images="They are <no> images.")
    page = _Page(answers_section([("a", told.NAMES, VisitAnswers(blind))]))
    assert "They are <no> images." in page.text and not page.images
    assert "test image 2" in page.text


def test_tasks_that_cannot_have_answers_say_why():
    page = _Page(
        answers_section([("faces", (), VisitAnswers(without="all <pairs>"))])
    )
    assert "1. faces: all <pairs>" in page.text and page.folded == 0


def test_without_answers_there_is_no_section():
    assert answers_section([]) == ""
    assert answers_section([("a", told.NAMES, VisitAnswers())]) == ""


def test_answers_of_an_earlier_end_say_so():
    tasks = [("a", told.NAMES, told.visit_answers())]
    assert "are known" not in answers_section(tasks)
    later = VisitAnswers(told.learned(visits=4))
    page = _Page(answers_section([*tasks, ("b", told.NAMES, later)]))
    assert page.text.count("those after 3 learned tasks") == 1


def _many(classes, seed):
    """Noisy answers of many classes, with images of the usual size."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 100)
    wrong = generator.random(labels.size) < 0.4
    given = np.where(
        wrong, generator.integers(classes, size=wrong.size), labels
    )
    scores = generator.random(labels.size, dtype=np.float32)
    found = Answers(labels, given, scores)
    # As large as photographs of 64 x 64 pixels become.
    images = {row: generator.bytes(2500) for row in found.shown()}
    return Answers(labels, given, scores, images)


def test_fifty_tasks_of_a_hundred_classes_stay_small():
    names = [f"a class of some name {k}" for k in range(100)]
    tasks = [
        (f"task_{k}", names, VisitAnswers(_many(100, k), _many(100, k + 50)))
        for k in range(50)
    ]
    begin = time.process_time()
    text = answers_section(tasks)
    assert time.process_time() - begin < 30
    assert len(text.encode()) < 9_000_000
    page = _Page(text)
    # Everything is folded; a dozen images and one matrix per moment.
    assert page.folded == 2 * 50 and len(page.images) == 50 * 2 * 13
    assert text.count("<summary>90 better ones") == 50
    assert text.count("further pairs: confusion.csv") == 100

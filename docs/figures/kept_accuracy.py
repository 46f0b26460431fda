"""The figure of README: what CLR keeps, and what fine-tuning loses.

    python docs/figures/kept_accuracy.py --weights=cifar10_resnet20.npz
        [--model_dir=runs/kept_accuracy] [--data_dir=DIR]

Two runs over the same five superclasses of CIFAR-100, from the same ResNet-20
that knows CIFAR-10 (docs/clr.md says where its weights come from), 200 training
images of a class, 5 epochs per task, seed 0; about a minute each on two cores.
A run that is there is not made again. Writes docs/kept_accuracy.png.
"""

import argparse
import json
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from matplotlib.figure import Figure  # noqa: E402

from tfcl.reporting import drawing, figures  # noqa: E402

_METHODS = {"fine_tuning_heads": "Fine-tuning", "clr": "CLR"}
_BINDINGS = (
    "NUM_TASKS = 5",
    "class_split_stream.train_per_class = 200",
    "EPOCHS = 5",
    "MILESTONES = (3, 4)",
    "SEED = 0",
    "Experiment.exports = False",
)


def main() -> None:
    """Learns what is not learned yet, and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--model_dir", default="runs/kept_accuracy")
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    runs = {}
    for method in _METHODS:
        folder = pathlib.Path(options.model_dir) / method
        if not (folder / "results.json").exists():
            _learn(method, folder, options)
        results = json.loads((folder / "results.json").read_text("utf-8"))
        runs[method] = results
    figure = draw(runs)
    path = _ROOT / "docs" / "kept_accuracy.png"
    path.write_bytes(drawing.png_bytes(figure))


def _learn(method, folder, options):
    bindings = [f"WEIGHTS = {options.weights!r}", *_BINDINGS]
    command = [
        *(sys.executable, "-m", "tfcl.train"),
        *("--stream=clr_cifar100", f"--method={method}"),
        *(f"--gin_bindings={binding}" for binding in bindings),
        f"--model_dir={folder}",
    ]
    if options.data_dir:
        command.append(f"--data_dir={options.data_dir}")
    subprocess.run(command, cwd=_ROOT, check=True)


def draw(runs: dict) -> Figure:
    """Per method a drawing with a line per task, and one of chance level.

    Args:
        runs: `{method: content of its results.json}`.
    """
    # Narrow, so that letters are large enough on a telephone.
    figure, panels = drawing.panels(5.4, 3.1, *_METHODS.values())
    figure.set_dpi(180)
    for axes, method in zip(panels, _METHODS):
        results = runs[method]
        names = results["task_names"]
        matrix = drawing.as_matrix(results["accuracy_matrix"], len(names))
        steps = range(1, len(matrix) + 1)
        for j, name in enumerate(names):
            axes.plot(
                steps[j:],
                100.0 * matrix[j:, j],
                color=drawing.PALETTE[j],
                linewidth=2.0,
                marker="o",
                markersize=4,
                label=name.replace("_", " "),
            )
        rows = results.get("chance_matrix", ())  # Of older runs.
        levels = drawing.as_matrix(rows, len(names))
        chance = figures.chance_lines(axes, levels, drawing.PALETTE)
        for name, line in chance.items():
            line.set_label(name)
        drawing.label_axes(axes, "tasks learned", "")
        axes.set_xticks(steps)
        axes.set_ylim(15, 85)
    panels[0].set_ylabel("test accuracy (%)", fontsize=9, color=drawing.INK)
    panels[1].tick_params(labelleft=False)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        fontsize=8.5,
        frameon=False,
        columnspacing=1.2,
        handlelength=1.4,
    )
    return figure


if __name__ == "__main__":
    main()

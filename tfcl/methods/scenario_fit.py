"""Which methods are made for which scenario."""

from __future__ import annotations

import typing

from tfcl.data.scenario import CLASS, DOMAIN, ONLINE, SCENARIOS, TASK
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from tfcl.methods.base import Method


_WITHOUT_TASK = (
    "FineTuning, FrozenBackbone, NearestClassMean, SLDA, Rehearsal, Joint, "
    "EWC, SI, MAS, LwF, GPM, SPG, L2P, DualPrompt, DER, DERPlusPlus, "
    "OnlineLearning, MemoryHead, ExperienceReplay, MIR, AGEM, GDumb, Ensemble"
)
# For messages; the classes themselves have the word.
MADE_FOR = {
    TASK: "all but ClassIncremental, ICaRL, WA",
    DOMAIN: _WITHOUT_TASK,
    CLASS: f"{_WITHOUT_TASK}, ClassIncremental, ICaRL, WA",
    ONLINE: "OnlineLearning, MemoryHead, ExperienceReplay, MIR, AGEM, GDumb, "
    "Ensemble",
}


def refuse_unfit(method: Method, scenario: str, stream: str) -> None:
    """Refuses a stream that a method is not made for.

    Args:
        method: `Method`, perhaps not set up.
        scenario: What the stream is.
        stream: What the message calls it.

    Raises:
        UserError: With the reason and the way out.
    """
    reason = method.why_not(scenario)
    if reason is None:
        return
    ways = " or ".join(f"'{s}'" for s in SCENARIOS if s in method.scenarios)
    raise UserError(
        f"{method.name} {reason}: it is not made for the scenario "
        f"'{scenario}' of {stream}. Methods that fit: {MADE_FOR[scenario]}. "
        "Or take the tasks in another scenario: Experiment.scenario = "
        f"{ways}."
    )

# The public names, read by `__init__.py` and by type checkers.
from .base import Batch as Batch
from .base import Method as Method
from .base import Update as Update
from .baselines.feature_statistics import (
    FeatureStatistics as FeatureStatistics,
)
from .baselines.fine_tuning import FineTuning as FineTuning
from .baselines.frozen_backbone import FrozenBackbone as FrozenBackbone
from .baselines.individual import Individual as Individual
from .baselines.joint import Joint as Joint
from .baselines.nearest_class_mean import NearestClassMean as NearestClassMean
from .baselines.rehearsal import Rehearsal as Rehearsal
from .baselines.slda import SLDA as SLDA
from .class_incremental.class_incremental import (
    ClassIncremental as ClassIncremental,
)
from .class_incremental.class_statistics import (
    ClassStatistics as ClassStatistics,
)
from .class_incremental.classifier_alignment import (
    ClassifierAlignment as ClassifierAlignment,
)
from .class_incremental.growing_heads import GrowingHeads as GrowingHeads
from .class_incremental.head_training import HeadTraining as HeadTraining
from .class_incremental.task_heads import TaskHeads as TaskHeads
from .class_incremental.virtual_batch import VirtualBatch as VirtualBatch
from .clr.clr import CLR as CLR
from .clr.parallel_convolutions import (
    ParallelConvolutions as ParallelConvolutions,
)
from .cpg.accuracy_goals import GoalFile as GoalFile
from .cpg.accuracy_goals import OwnGoal as OwnGoal
from .cpg.accuracy_goals import SameGoal as SameGoal
from .cpg.cpg import CPG as CPG
from .cpg.cpg_phases import PickAgain as PickAgain
from .cpg.cpg_phases import PruningLadder as PruningLadder
from .cpg.face_training import FaceTraining as FaceTraining
from .cpg.masked_network import MaskedNetwork as MaskedNetwork
from .cpg.packnet import PackNet as PackNet
from .cpg.published_checkpoint import PublishedCheckpoint as PublishedCheckpoint
from .expansion.den import DEN as DEN
from .expansion.growing_network import GrowingNetwork as GrowingNetwork
from .expansion.prognn import ProgNN as ProgNN
from .lasem.brute_force import BruteForce as BruteForce
from .lasem.darts import DARTS as DARTS
from .lasem.lasem import LASEM as LASEM
from .lasem.searching_method import SearchingMethod as SearchingMethod
from .lasem.static_transfer import StaticTransfer as StaticTransfer
from .lasem.transfer_configurations import (
    transfer_configuration as transfer_configuration,
)
from .lasem.transfers import AdditiveTransfer as AdditiveTransfer
from .lasem.transfers import DeconvTransfer as DeconvTransfer
from .lasem.transfers import HardTransfer as HardTransfer
from .lasem.transfers import Transfer as Transfer
from .lasem.transfers import TuckerTransfer as TuckerTransfer
from .masks.channel_gating import ChannelGating as ChannelGating
from .masks.hat import HAT as HAT
from .masks.supsup import SupSup as SupSup
from .network_method import NetworkMethod as NetworkMethod
from .online.agem import AGEM as AGEM
from .online.ensemble import Ensemble as Ensemble
from .online.experience_replay import MIR as MIR
from .online.experience_replay import ExperienceReplay as ExperienceReplay
from .online.gdumb import GDumb as GDumb
from .online.memory_head import MemoryHead as MemoryHead
from .online.online import OnlineLearning as OnlineLearning
from .online.online_training import OnlineTraining as OnlineTraining
from .prompts.dual_prompt import DualPrompt as DualPrompt
from .prompts.l2p import L2P as L2P
from .prompts.prompt_method import PromptMethod as PromptMethod
from .protocols import PointMap as PointMap
from .protocols import SupportsBundle as SupportsBundle
from .protocols import SupportsEmbedding as SupportsEmbedding
from .protocols import SupportsGrowth as SupportsGrowth
from .protocols import SupportsPointMaps as SupportsPointMaps
from .regularization.ewc import EWC as EWC
from .regularization.gpm import GPM as GPM
from .regularization.lwf import LwF as LwF
from .regularization.mas import MAS as MAS
from .regularization.measured_importance import (
    MeasuredImportance as MeasuredImportance,
)
from .regularization.si import SI as SI
from .replay.der import DER as DER
from .replay.der import DERPlusPlus as DERPlusPlus
from .replay.exemplar_replay import ExemplarReplay as ExemplarReplay
from .replay.icarl import ICaRL as ICaRL
from .replay.wa import WA as WA
from .shared_backbone import SharedBackboneMethod as SharedBackboneMethod
from .shared_output import SharedOutputMethod as SharedOutputMethod
from .spg.importance_pass import ImportancePass as ImportancePass
from .spg.spg import SPG as SPG
from .task_training import TaskTraining as TaskTraining
from .tensor_norms import TensorNorms as TensorNorms
from .training_options import TrainingOptions as TrainingOptions
from .work import Accumulate as Accumulate
from .work import Decision as Decision
from .work import Phase as Phase
from .work import Scan as Scan
from .work import Validate as Validate

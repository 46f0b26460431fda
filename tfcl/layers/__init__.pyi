# The public names, read by `__init__.py` and by type checkers.
from .attention.class_token import ClassToken as ClassToken
from .attention.self_attention import SelfAttention as SelfAttention
from .attention.token_embedding import TokenEmbedding as TokenEmbedding
from .faces.angular_softmax import AngularSoftmax as AngularSoftmax
from .faces.angular_softmax import angular_softmax_loss as angular_softmax_loss
from .faces.verification_head import VerificationHead as VerificationHead
from .fan_in_uniform import FanInUniform as FanInUniform
from .fast.dropped_max_pooling2d import (
    DroppedMaxPooling2D as DroppedMaxPooling2D,
)
from .fast.half_word_dropout import HalfWordDropout as HalfWordDropout
from .fast.sliced_cropping2d import SlicedCropping2D as SlicedCropping2D
from .fast.small_map_conv2d import SmallMapConv2D as SmallMapConv2D
from .masked.channel_gate import ChannelGate as ChannelGate
from .masked.hard_attention import HardAttention as HardAttention
from .masked.masked_conv2d import MaskedConv2D as MaskedConv2D
from .masked.masked_dense import MaskedDense as MaskedDense
from .masked.masked_kernel import MaskedKernel as MaskedKernel
from .masked.supermask import Supermask as Supermask
from .masked.supermask_conv2d import SupermaskConv2D as SupermaskConv2D
from .masked.supermask_dense import SupermaskDense as SupermaskDense
from .masked.unit_gate import UnitGate as UnitGate
from .memory.memory_dense import MemoryDense as MemoryDense
from .memory.memory_initializers import KeyInitializer as KeyInitializer
from .memory.memory_initializers import MemoryInitializer as MemoryInitializer
from .memory.memory_options import KeyOptions as KeyOptions
from .memory.memory_options import MemoryOptions as MemoryOptions
from .memory.memory_options import ScramblingOptions as ScramblingOptions
from .memory.memory_update import MemoryState as MemoryState
from .memory.memory_update import UpdateRule as UpdateRule
from .memory.seen_classes import SeenClasses as SeenClasses
from .memory.task_memories import TaskMemories as TaskMemories
from .nearest_mean_head import NearestMeanHead as NearestMeanHead
from .pair_conv2d import PairConv2D as PairConv2D
from .prompts.general_prefix import GeneralPrefix as GeneralPrefix
from .prompts.prompt_keys import PromptKeys as PromptKeys
from .prompts.prompt_pool import PromptPool as PromptPool
from .prompts.task_choice import TaskChoice as TaskChoice
from .prompts.task_prefix import TaskPrefix as TaskPrefix
from .reprogram.banked_layers import BankedDense as BankedDense
from .reprogram.banked_layers import BankedFilter as BankedFilter
from .reprogram.banked_layers import BankedScale as BankedScale
from .reprogram.banked_layers import ChosenTasks as ChosenTasks
from .reprogram.channel_reprogram import ChannelDirac as ChannelDirac
from .reprogram.channel_reprogram import ChannelReprogram as ChannelReprogram
from .reprogram.colour_transform import ColourTransform as ColourTransform
from .reprogram.gated_reprogram import GatedReprogram as GatedReprogram
from .reprogram.parallel_conv2d import ParallelConv2D as ParallelConv2D
from .signed_constant import SignedConstant as SignedConstant
from .task_head import TaskHead as TaskHead
from .transfer.additive_kernel import AdditiveKernel as AdditiveKernel
from .transfer.branch_conv2d import BranchConv2D as BranchConv2D
from .transfer.deconv_kernel import DeconvKernel as DeconvKernel
from .transfer.divided_conv2d import DividedConv2D as DividedConv2D
from .transfer.hard_kernel import HardKernel as HardKernel
from .transfer.kernel_generator import KernelGenerator as KernelGenerator
from .transfer.lateral_conv2d import LateralConv2D as LateralConv2D
from .transfer.mixed_conv2d import MixedConv2D as MixedConv2D
from .transfer.selective_conv2d import SelectiveConv2D as SelectiveConv2D
from .transfer.transfer_conv2d import TransferConv2D as TransferConv2D
from .transfer.tucker_kernel import TuckerKernel as TuckerKernel
from .unbiased_batch_norm import UnbiasedBatchNorm as UnbiasedBatchNorm
from .weighted_cross_entropy import class_weights as class_weights
from .weighted_cross_entropy import (
    weighted_cross_entropy as weighted_cross_entropy,
)

# The public names, read by `__init__.py` and by type checkers.
from .backbones.applications import (
    application_classifier as application_classifier,
)
from .backbones.applications import keras_application as keras_application
from .backbones.cifar_resnet import cifar_resnet as cifar_resnet
from .backbones.cpg_resnet import cpg_resnet as cpg_resnet
from .backbones.cpg_vgg import cpg_vgg as cpg_vgg
from .backbones.dense_layers import dense_layers as dense_layers
from .backbones.given_model import GivenModel as GivenModel
from .backbones.given_model import given_model as given_model
from .backbones.keras_file import keras_file as keras_file
from .backbones.lasem_cnn import lasem_cnn as lasem_cnn
from .backbones.resnet_torchvision import (
    resnet_torchvision as resnet_torchvision,
)
from .backbones.spg_alexnet import spg_alexnet as spg_alexnet
from .backbones.spherenet import spherenet as spherenet
from .backbones.vit import vit as vit
from .network import TaskNetwork as TaskNetwork
from .online.online_network import OnlineNetwork as OnlineNetwork
from .online.online_networks import ensemble_network as ensemble_network
from .online.online_networks import linear_network as linear_network
from .online.online_networks import memory_network as memory_network
from .online.online_networks import mlp_network as mlp_network
from .online.pixels import pixels as pixels
from .surgery.bundled_network import BundledNetwork as BundledNetwork
from .surgery.channel_gates import gated as gated
from .surgery.growing_chain import GrowingChain as GrowingChain
from .surgery.lift import lift as lift
from .surgery.lift import lower as lower
from .surgery.prefix_tree import prefix_tree as prefix_tree
from .surgery.reprogram import reprogram as reprogram
from .surgery.rewire import rewire as rewire
from .variables import Owned as Owned

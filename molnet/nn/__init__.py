"""The deep-learning core: tensors only, no molecules.

The names below are loaded when they are first used, so that `import molnet.nn` costs nothing, and only what is used is
loaded. What serves one family only, or has the same name in two (`boltzmann.Gaussian` are units, `activations.Gaussian`
is a function), stays in its module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molnet.nn.activations import (
        CELU,
        ELU,
        Activation,
        Arctan,
        Identity,
        LeakyReLU,
        Logistic,
        ReLU,
        SiLU,
        Softplus,
        Softsign,
        Step,
        Tanh,
    )
    from molnet.nn.adversarial import AdversarialTraining, FastGradientSign, sign_noise
    from molnet.nn.attention import (
        CausalTransformer,
        GraphAttention,
        MultiHeadAttention,
        TransformerBlock,
        TransformerEncoder,
    )
    from molnet.nn.autoencoders import Autoencoder
    from molnet.nn.belief import DeepBelief
    from molnet.nn.boltzmann import AnnealedImportanceSampling, RestrictedBoltzmann
    from molnet.nn.boltzmann_generators import BoltzmannGenerator
    from molnet.nn.clustering import MixtureVAE
    from molnet.nn.convolution import FILTERS, filter_images, gaussian_filter, toeplitz
    from molnet.nn.decomposition import TICA, Whitening, lagged
    from molnet.nn.distortions import DistortedBatches, Distortion
    from molnet.nn.flows import Affine, Coupling, Flow, RationalQuadratic
    from molnet.nn.gan import (
        AdversarialNetworks,
        ImageCritic,
        ImageGenerator,
        NonSaturating,
        Wasserstein,
        energy_distance,
        frechet_distance,
    )
    from molnet.nn.graph_networks import (
        ConcatenatedMessage,
        EdgeNetwork,
        GraphBatches,
        GraphBlock,
        GraphNetwork,
        GraphTensors,
        MessagePassing,
    )
    from molnet.nn.linear import FeatureFunctions, LeastSquares, bias_variance
    from molnet.nn.losses import Lasso, Tikhonov, hinge, multiclass_hinge, ranking
    from molnet.nn.mlp import MLP, ResidualMLP
    from molnet.nn.optimizers import NaturalGradient, gradient_norms, initialize, trajectory
    from molnet.nn.recurrent import (
        DilatedStack,
        EchoState,
        NormPreservingClassifier,
        RecurrentLayers,
        SequenceClassifier,
        SequenceTagger,
        orthogonal_,
    )
    from molnet.nn.regions import linear_regions
    from molnet.nn.reinforcement import ActorCritic, Agent, DoubleQ
    from molnet.nn.seeding import seeded
    from molnet.nn.sequence import CharacterModel, Characters, KeyValueMemory, LengthBatches, Seq2Seq, TextBatches
    from molnet.nn.sequence_cnn import SequenceCNN
    from molnet.nn.sequence_vae import SequenceVAE
    from molnet.nn.sets import AttentionPool, DeepSets, EquivariantLayer, MaxPool, MeanPool, SumPool, pad_sets
    from molnet.nn.simulator import FixedEdges, GraphSimulator, NoisyWindows, Within
    from molnet.nn.smiles import SmilesTokens
    from molnet.nn.variational import VariationalAutoencoder
    from molnet.nn.vision import AlexNet, Inception, LeNet1, LeNet5, PolicyValueNet, ResidualBlock, ResNet
    from molnet.nn.visualization import maximize_activation

_HOME = {
    "Activation": "activations",
    "ActorCritic": "reinforcement",
    "AdversarialNetworks": "gan",
    "AdversarialTraining": "adversarial",
    "Affine": "flows",
    "Agent": "reinforcement",
    "AlexNet": "vision",
    "AnnealedImportanceSampling": "boltzmann",
    "Arctan": "activations",
    "AttentionPool": "sets",
    "Autoencoder": "autoencoders",
    "BoltzmannGenerator": "boltzmann_generators",
    "CELU": "activations",
    "CausalTransformer": "attention",
    "CharacterModel": "sequence",
    "Characters": "sequence",
    "ConcatenatedMessage": "graph_networks",
    "Coupling": "flows",
    "DeepBelief": "belief",
    "DeepSets": "sets",
    "DilatedStack": "recurrent",
    "DistortedBatches": "distortions",
    "Distortion": "distortions",
    "DoubleQ": "reinforcement",
    "ELU": "activations",
    "EchoState": "recurrent",
    "EdgeNetwork": "graph_networks",
    "EquivariantLayer": "sets",
    "FILTERS": "convolution",
    "FastGradientSign": "adversarial",
    "FeatureFunctions": "linear",
    "FixedEdges": "simulator",
    "Flow": "flows",
    "GraphAttention": "attention",
    "GraphBatches": "graph_networks",
    "GraphBlock": "graph_networks",
    "GraphNetwork": "graph_networks",
    "GraphSimulator": "simulator",
    "GraphTensors": "graph_networks",
    "Identity": "activations",
    "ImageCritic": "gan",
    "ImageGenerator": "gan",
    "Inception": "vision",
    "KeyValueMemory": "sequence",
    "Lasso": "losses",
    "LeNet1": "vision",
    "LeNet5": "vision",
    "LeakyReLU": "activations",
    "LeastSquares": "linear",
    "LengthBatches": "sequence",
    "Logistic": "activations",
    "MLP": "mlp",
    "MaxPool": "sets",
    "MeanPool": "sets",
    "MessagePassing": "graph_networks",
    "MixtureVAE": "clustering",
    "MultiHeadAttention": "attention",
    "NaturalGradient": "optimizers",
    "NoisyWindows": "simulator",
    "NonSaturating": "gan",
    "NormPreservingClassifier": "recurrent",
    "PolicyValueNet": "vision",
    "RationalQuadratic": "flows",
    "ReLU": "activations",
    "RecurrentLayers": "recurrent",
    "ResNet": "vision",
    "ResidualBlock": "vision",
    "ResidualMLP": "mlp",
    "RestrictedBoltzmann": "boltzmann",
    "Seq2Seq": "sequence",
    "SequenceCNN": "sequence_cnn",
    "SequenceClassifier": "recurrent",
    "SequenceTagger": "recurrent",
    "SequenceVAE": "sequence_vae",
    "SiLU": "activations",
    "SmilesTokens": "smiles",
    "Softplus": "activations",
    "Softsign": "activations",
    "Step": "activations",
    "SumPool": "sets",
    "TICA": "decomposition",
    "Tanh": "activations",
    "TextBatches": "sequence",
    "Tikhonov": "losses",
    "TransformerBlock": "attention",
    "TransformerEncoder": "attention",
    "VariationalAutoencoder": "variational",
    "Wasserstein": "gan",
    "Whitening": "decomposition",
    "Within": "simulator",
    "bias_variance": "linear",
    "energy_distance": "gan",
    "filter_images": "convolution",
    "frechet_distance": "gan",
    "gaussian_filter": "convolution",
    "gradient_norms": "optimizers",
    "hinge": "losses",
    "initialize": "optimizers",
    "lagged": "decomposition",
    "linear_regions": "regions",
    "maximize_activation": "visualization",
    "multiclass_hinge": "losses",
    "orthogonal_": "recurrent",
    "pad_sets": "sets",
    "ranking": "losses",
    "seeded": "seeding",
    "sign_noise": "adversarial",
    "toeplitz": "convolution",
    "trajectory": "optimizers",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"molnet.nn.{_HOME[name]}"), name)
    raise AttributeError(f"module 'molnet.nn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])

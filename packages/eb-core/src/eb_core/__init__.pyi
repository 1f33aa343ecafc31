from .learning.backend import Backend as Backend
from .learning.session import Session as Session
from .learning.contrast import contrast as contrast
from .learning.rule import GradientEstimate as GradientEstimate, Rule as Rule
from .registry.catalog import Registry as Registry
from .registry.component import Component as Component
from .registry.errors import (
    EbError as EbError,
    Fault as Fault,
    PluginError as PluginError,
    RunError as RunError,
    UsageError as UsageError,
)
from .registry.hookspecs import hookimpl as hookimpl
from .registry.options import configurable as configurable, option as option
from .registry.setup import Diagnostic as Diagnostic, Setup as Setup, notice as notice, refuse as refuse
from .settling.iterative import IterativeRelaxer as IterativeRelaxer
from .settling.problem import Problem as Problem
from .settling.relaxer import Relaxation as Relaxation, Properties as Properties, Relaxer as Relaxer, Trace as Trace
from .settling.state import State as State
from .settling.view import View as View
from .network.conv import Conv as Conv
from .physics.cost import Cost as Cost
from .data.data import Data as Data, Dataset as Dataset, Split as Split
from .network.dense import Dense as Dense
from .physics.domain import Box as Box, Boxes as Boxes, Circle as Circle, Domain as Domain, Line as Line, Spins as Spins
from .network.edge import Edge as Edge
from .physics.energy import Energy as Energy
from .network.network import Layer as Layer, Model as Model, Network as Network
from .training.api import train as train
from .training.evaluation import Predictions as Predictions, Score as Score
from .training.execute import TrainingResult as TrainingResult
from .training.loading import load_run as load_run
from .training.report import EpochReport as EpochReport, Notice as Notice, Observer as Observer
from .training.resume import resume as resume
from .training.settings import TrainerSettings as TrainerSettings
from .training.build import make_network as make_network
from .training.trained import TrainedNet as TrainedNet
from .learning.oracle import ExactGradient as ExactGradient, exact_gradient as exact_gradient
from .learning.simulator import Simulator as Simulator
from .physics.cross_entropy import CrossEntropy as CrossEntropy
from .network.lateral import Lateral as Lateral
from .physics.squared_error import SquaredError as SquaredError

"""Devices that other people build: everything an author of a device needs. Nothing here imports torch.

from eb_core.device import Device, DeviceBackend, Drive, Readout, configurable, option
"""

from eb_core.device.backend import DeviceBackend
from eb_core.device.capabilities import Capabilities, parse_capabilities, read_capabilities
from eb_core.device.contract import (
    Block,
    Couplings,
    Device,
    DeviceError,
    Drive,
    Programmed,
    Readout,
    TransientError,
)
from eb_core.registry import configurable, option

__all__ = [
    "Block",
    "Capabilities",
    "Couplings",
    "Device",
    "DeviceBackend",
    "DeviceError",
    "Drive",
    "Programmed",
    "Readout",
    "TransientError",
    "configurable",
    "option",
    "parse_capabilities",
    "read_capabilities",
]

"""What Mininet is given in the place of distutils."""

import subprocess
import sys


def test_mininet_orders_versions_and_distutils_is_what_it_was() -> None:
    program = """
import sys
import podpath.host
from mininet.node import OVSSwitch
for OVSSwitch.OVSVersion, old in (("1.9.3", True), ("1.10", False), ("2.13.8", False), ("10.0", False)):
    assert OVSSwitch.isOldOVS() is old, OVSSwitch.OVSVersion
assert "distutils.version" not in sys.modules
from distutils.version import StrictVersion
assert StrictVersion.__module__ != "packaging.version"
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)

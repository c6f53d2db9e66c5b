"""What goes wrong, and when: at the simulated venue, on its wire, at our ports and files."""

from rebalancer.simulators.faults.venue import Fault, FaultKind, FaultScript, SeededFaults

__all__ = ["Fault", "FaultKind", "FaultScript", "SeededFaults"]

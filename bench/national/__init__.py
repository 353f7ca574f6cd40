"""The national night: everything measured at the scale of the NHS, against peers and limits, in one run."""

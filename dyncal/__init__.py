"""Dynamic calibration of industrial sensors, while the plant runs.

``from dyncal import fit_record, design, correct``: what a notebook needs (named in the stub beside this file), loaded
when it is first asked for, so that a light edge that imports `dyncal` gets none of it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"

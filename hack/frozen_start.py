"""Runs first in the frozen program: gives the environment back to the programs that it starts.

PyInstaller's loader points LD_LIBRARY_PATH at the libraries in the archive. The loader has done its
work by now; a login plugin of kubectl (`aws`, `gcloud`) would take our OpenSSL for its own.
"""

import os

for name in ("LD_LIBRARY_PATH", "LIBPATH", "DYLD_LIBRARY_PATH"):
    os.environ.pop(name, None)
    if (before := os.environ.pop(f"{name}_ORIG", None)) is not None:
        os.environ[name] = before
for name in [name for name in os.environ if name.startswith("_PYI_")]:
    del os.environ[name]

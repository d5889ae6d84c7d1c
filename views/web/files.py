"""Where the page's files are: its own, and plotly's in its wheel."""

from importlib.resources import files
from pathlib import Path

STATIC = Path(str(files("views.web").joinpath("static")))
PLOTLY = Path(str(files("plotly").joinpath("package_data"))) / "plotly.min.js"

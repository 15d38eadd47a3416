"""Error reflection: the method of L. Gao (2018), and the evidence for and against its claims."""

__version__ = "0.1.0"

"""The errors a user can meet: one sentence with what was found, the limit and the remedy."""


class TbscaleError(Exception):
    """Base of every error that the command line prints without a traceback."""


class ImageError(TbscaleError):
    """A file, channel, level or region that cannot be read as a plane."""


class DatasetError(TbscaleError):
    """A dataset or stand-in that is unknown or cannot be fetched or written."""


class WeightsError(TbscaleError):
    """A model name or a file that is not weights of the network."""


class PlanError(TbscaleError):
    """Parameters that no plan can satisfy."""


class BudgetError(PlanError):
    """A plan that needs more memory than it is given."""


class RunError(TbscaleError):
    """A run that cannot start, continue or finish."""


class RecordError(TbscaleError):
    """A record that is not valid, or a measurement that yielded nothing."""


class BookError(TbscaleError):
    """A page that cannot be made from the records, or a built page that breaks a promise."""

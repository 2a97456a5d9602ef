"""Every error that Banyan raises on purpose; each message is a sentence that says where, what was found and what would be right."""


class BanyanError(Exception):
    """Anything that went wrong for a reason that the user can mend."""


class ConfigError(BanyanError):
    """The description of the store, or an option of a part, cannot be right."""


class DataError(BanyanError):
    """A table holds something that breaks a rule; the message names file, row, column, rule and value."""


class BundleError(BanyanError):
    """A bundle is missing a file, was changed, or was written by another version."""


class StateError(BanyanError):
    """The live state cannot be read or written now; what was handed over was not acknowledged and may be sent again."""


class ConflictError(BanyanError):
    """Somebody else changed the same thing first; read it again."""


class MissingExtraError(BanyanError):
    """Something asked for needs an optional package that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'banyan-commerce[{extra}]'.")

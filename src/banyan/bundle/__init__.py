"""A trained model in one folder: saved whole, checked by hash, loaded without a pickle, and asked.

`save` writes the folder, `Bundle.load` reads it; a bundle then answers rows (`predict`) and users (`recommend`).
"""

from banyan.bundle.answers import Bundle
from banyan.bundle.saving import save

__all__ = ["Bundle", "save"]

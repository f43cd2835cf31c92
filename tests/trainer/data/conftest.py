import warnings

import pytest


@pytest.fixture(scope="session")
def megatron() -> None:
    """Megatron-core, imported once the device is open, as a rank does it; without what it says about itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trainer.device.open import open_device

        open_device("auto")
        import megatron.core.datasets.gpt_dataset  # noqa: F401

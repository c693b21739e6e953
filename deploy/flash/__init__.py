"""From a signed image to cards that are proven, `python -m deploy.flash`; and stickers for their boards."""

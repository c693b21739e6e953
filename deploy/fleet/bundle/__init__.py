"""All that a site without a network needs, in one signed file: made with a network, unpacked without."""

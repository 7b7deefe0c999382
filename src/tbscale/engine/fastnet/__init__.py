"""The convolutional network in float32 by Winograd convolutions: fewer products, no compiler."""

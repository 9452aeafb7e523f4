"""How fast this machine runs the kernels, training and rendering: `make bench`."""

"""Files of weights that are not part of this project, and where they are to be had."""

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
ALEXNET_SHA256 = "7be5be79"  # the file's digest begins with what its name ends with
ALEXNET_SOURCE = (
    f"{ALEXNET_FILE} from https://download.pytorch.org/models/{ALEXNET_FILE}, described at"
    " https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.alexnet.html"
    " (torchvision: BSD-3-Clause; ImageNet, on which it was trained: for research)"
)

#!/usr/bin/env bash
# Made of envs/media.txt by `make conda`; change that one.
set -euo pipefail
python -m pip install -qq --no-deps -r /dev/stdin <<'PINS'
mediapipe==0.10.21
numpy==1.26.4
opencv-python-headless==4.11.0.86
scipy==1.17.1
scikit-image==0.26.0
ffmpeg-python==0.2.0
imageio-ffmpeg==0.8.1
tqdm==4.70.1
safetensors==0.8.0
matplotlib==3.10.7
pytest==9.2.0
absl-py==2.5.1
attrs==26.1.0
contourpy==1.3.3
cycler==0.12.1
flatbuffers==25.12.19
fonttools==4.68.0
future==1.0.0
ImageIO==2.38.1
iniconfig==2.3.1
kiwisolver==1.5.1
lazy-loader==0.6
networkx==3.6.1
packaging==26.3
pillow==13.0.0
pluggy==1.7.0
protobuf==4.25.9
Pygments==2.21.0
pyparsing==3.3.3
python-dateutil==4.0.0
tifffile==2026.3.3
tzdata==2026.6
PINS

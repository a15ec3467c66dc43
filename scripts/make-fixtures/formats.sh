#!/usr/bin/env bash
# Makes fixtures/formats: one small trajectory in the formats of every framework, by the frameworks themselves.
# Run from the project's root: bash scripts/make-fixtures/formats.sh (Python 3.11, Node 20; about ten minutes).
#
# Virtual environments go to FORMATS_ENVIRONMENTS (default .venv/formats, which git ignores). PyTorch's CPU build is
# enough; where `pip install torch==2.13.0` would bring another, install that one into .venv/formats/torch first.
set -euo pipefail
environments=${FORMATS_ENVIRONMENTS:-.venv/formats}
scripts=scripts/make-fixtures/formats
mkdir -p "$environments"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= JAX_PLATFORMS=cpu HF_HUB_OFFLINE=1 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

# environment NAME PACKAGE...: a virtual environment with these packages.
environment() {
  local path=$environments/$1
  shift
  [ -x "$path/bin/python" ] || python3.11 -m venv "$path"
  "$path/bin/pip" install --quiet "$@"
}

# in_environment NAME SCRIPT ARGUMENT...
in_environment() {
  local python=$environments/$1/bin/python
  shift
  echo "== $*"
  "$python" -W ignore "$scripts/$@"
}

common=(numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 safetensors==0.8.0 h5py==3.16.0)
environment torch torch==2.13.0
environment torch torch==2.13.0 "${common[@]}" lightning==2.6.6 transformers==5.24.0 accelerate==1.15.0 \
  mmengine==0.10.7 keras==3.15.1
environment torch --no-deps timm==1.0.31
environment hf4 torch==2.13.0
environment hf4 torch==2.13.0 "${common[@]}" transformers==4.57.1 accelerate==1.15.0
environment keras tensorflow-cpu==2.21.0 keras==3.15.1 tf-keras==2.21.0 tf2onnx==1.17.0 onnx==1.23.2 numpy==2.4.6
environment jax jax==0.10.2 flax==0.12.8 optax==0.2.8 orbax-checkpoint==0.12.8 numpy==2.4.6
# tensorflowjs asks for any tensorflow-decision-forests, whose newest ydf wants a newer protobuf than its TensorFlow.
environment tfjs tensorflowjs==4.22.0
environment tfjs --no-deps ydf==0.11.0
mkdir -p "$environments/tfjs-node"
npm install --silent --ignore-scripts --no-save --prefix "$environments/tfjs-node" @tensorflow/tfjs@4.22.0

rm -rf fixtures/formats
mkdir -p fixtures/formats
in_environment torch network.py
in_environment torch mlp.py
in_environment torch plain_files.py
in_environment torch pytorch_files.py
in_environment torch timm_run.py
in_environment torch mmengine_run.py
in_environment torch lightning_run.py
in_environment torch trainer_run.py
in_environment hf4 trainer_run.py bin
in_environment torch refused.py
in_environment keras keras_files.py
in_environment torch keras_torch_onnx.py
TF_USE_LEGACY_KERAS=1 in_environment keras tf_keras_files.py
in_environment keras tensorflow_files.py
TF_USE_LEGACY_KERAS=1 in_environment keras tensorflow_files.py tf-keras
node "$scripts/tfjs.mjs" "$environments/tfjs-node"
in_environment tfjs tfjs_files.py
in_environment jax flax_files.py
du -sh --apparent-size fixtures/formats

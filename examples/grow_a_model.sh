#!/usr/bin/env bash
# A network that is in use learns one task after another: from an own classifier to
# exports and a bundle, with a kill in between and without old data. Pictures are of
# CIFAR-100 (from $TFDS_DATA_DIR, or downloaded by TFDS). About ten minutes on two
# cores; needs tfcl with its extra [test], for LiteRT.
#
#   examples/grow_a_model.sh FOLDER
set -euo pipefail
examples=$(cd "$(dirname "$0")" && pwd)
tfcl=${TFCL:-"python -m tfcl"} python=${PYTHON:-python}
mkdir -p "$1"
cd "$1"
say() { printf '\n== %s\n' "$*"; }

say "an own classifier, and pictures of four tasks"
[ -e mine.keras ] || $python "$examples/grow_a_model.py" model mine.keras
[ -e pictures ] || $python "$examples/grow_a_model.py" photographs pictures
mkdir -p first
cp -r pictures/flowers pictures/fruit first

say "two tasks"
$tfcl train --gin_file=gin/clr_keras_file.gin --model_dir=shop \
  --gin_bindings="KERAS_FILE = 'mine.keras'" \
  --gin_bindings="folder_stream.root = 'first'" \
  --gin_bindings="folder_stream.image_size = 32" \
  --gin_bindings="EPOCHS = 15" --gin_bindings="MILESTONES = (10,)"

say "a third one, killed in its middle and started again"
add="$tfcl add --model_dir=shop --task=furniture --images=pictures/furniture"
$add > killed.log 2>&1 &
process=$!
until grep -q "Adding\|epoch\|Task 3" killed.log || ! kill -0 $process; do sleep 0.2; done
sleep 3
kill -KILL $process || true
wait $process || true
$add

say "the old pictures go; a fourth task with another schedule"
rm -r first
$tfcl add --model_dir=shop --task=trees --images=pictures/trees \
  --gin_bindings="EPOCHS = 8" --gin_bindings="LEARNING_RATE = 2e-3"
$tfcl tasks --model_dir=shop

say "what is wrong"
head -4 shop/classes.csv shop/mistakes.csv
echo "shop/report.html: section Answers"

say "all forms, and each of them without tfcl"
for task in flowers fruit furniture trees; do
  find "pictures/$task/test" -name '*.jpg' | sort | awk 'NR % 20 == 1' |
    $tfcl predict --model_dir=shop --task=$task --output_format=csv --top=5 - \
      > shop/predict.$task.csv
done
$tfcl export --model_dir=shop --format=keras
$tfcl export --model_dir=shop --format=litert
$tfcl export --model_dir=shop --bundle
$python "$examples/grow_a_model.py" check shop pictures

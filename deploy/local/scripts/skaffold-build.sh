#!/usr/bin/env bash
# What skaffold calls to build one image: `skaffold-build.sh TARGET` builds a target of deploy/local/images/Dockerfile over layers prepared from
# this checkout, names it $IMAGE, and pushes it when $PUSH_IMAGE is true.
set -euo pipefail
cd "$(dirname "$0")/../../.."
target=${1:?name a target of deploy/local/images/Dockerfile}
layers=.cupel/images
deploy/local/scripts/setup.sh
node_modules/.bin/node deploy/local/src/cli/local.ts images "$layers"
docker build --file deploy/local/images/Dockerfile --target "$target" --tag "${IMAGE:?skaffold sets it}" "$layers"
if [ "${PUSH_IMAGE:-false}" = true ]; then docker push "$IMAGE"; fi

#!/usr/bin/env bash
# What every make target needs first: the tools of the machine are there, and node_modules is what the lock file says. Seconds when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/../../.."

fail() { printf 'cupel: %s\n' "$1" >&2; exit 1; }
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

missing=()
for tool in node:nodejs npm:npm go:golang python3:python3 openssl:openssl ip:iproute2 unshare:util-linux dpkg-deb:dpkg; do
  command -v "${tool%%:*}" >/dev/null || missing+=("${tool%%:*} (Debian package ${tool##*:})")
done
[ ${#missing[@]} -eq 0 ] || fail "needed and not found: $(IFS=,; echo "${missing[*]}"). Install them and run again."
python3 -m pip --version >/dev/null 2>&1 || fail 'python3 has no pip (Debian package python3-pip). Install it and run again.'
[ "$(uname -sm)" = 'Linux x86_64' ] || fail "this runs on Linux x86-64, not on $(uname -sm)"
version_at_least "$(node -p 'process.versions.node')" 20 || fail "Node $(node -v) is too old: Node 20 or newer is needed to start (the project brings its own Node 24)"
go_version=$(GOTOOLCHAIN=local go env GOVERSION); version_at_least "${go_version#go}" 1.26 || fail "Go ${go_version#go} is too old: 1.26 or newer is needed"
version_at_least "$(python3 -c 'import platform; print(platform.python_version())')" 3.10 || fail 'Python 3.10 or newer is needed'

stamp=node_modules/.cupel-stamp
want=$(cat pnpm-lock.yaml pnpm-workspace.yaml package.json {packages,services,test,deploy}/*/package.json contracts/package.json | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  echo 'cupel: installing npm packages (pnpm, frozen lock file)'
  npm_config_loglevel=error npx -y "$(node -p 'require("./package.json").config.pnpm')" install --frozen-lockfile --reporter=append-only 2>&1 | grep -vE 'Unsupported engine|Progress:|Downloading|packageManager pin' || true
  [ -x node_modules/.bin/vitest ] || fail 'pnpm install failed; the lines above say why'
  echo "$want" > "$stamp"
fi

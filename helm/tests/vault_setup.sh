#!/usr/bin/env bash
# vault_setup.sh VAULT RENDERED PYTHON: runs the commands of the rendered Job twice, against a real Vault on the loopback with its plugin
# for Kubernetes, and looks at what is there then.
set -euo pipefail
vault=$1 rendered=$2 python=$3
work=$(mktemp -d)
mkdir "$work/bin"
ln -s "$vault" "$work/bin/vault"
export PATH=$work/bin:$PATH VAULT_ADDR=http://127.0.0.1:18299 VAULT_TOKEN=root HOME=$work
vault server -dev -dev-root-token-id=root -dev-listen-address=127.0.0.1:18299 -dev-plugin-dir="$(dirname "$vault")/plugins" \
  >"$work/server" 2>&1 &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do
  if vault status >/dev/null 2>&1; then break; fi
  sleep 0.2
done
vault auth enable -path=kubernetes vault-plugin-auth-kubernetes

"$python" - "$work" "$rendered" <<'P'
import sys, yaml
work, rendered = sys.argv[1:]
for each in yaml.safe_load_all(open(rendered)):
    if each and each["kind"] == "ConfigMap" and "setup.sh" in each["data"]:
        for name, text in each["data"].items():
            open(f"{work}/{name}", "w").write(text.replace("/setup/", f"{work}/").replace("/token/token", f"{work}/token"))
P
printf root >"$work/token"
sh "$work/setup.sh"
sh "$work/setup.sh"

is() { # WANTED VAULT-READ…
  local found
  found=$(vault read -field="${@:2}")
  if [ "$found" != "$1" ]; then
    printf '%s is %s and not %s\n' "${*:2}" "$found" "$1" >&2
    exit 1
  fi
}
is true derived transit/keys/countersign-staging
is false exportable transit/keys/countersign-staging
is true disable_upsert transit/config/keys
for role in countersign-staging-signer countersign-staging-store-reader; do
  is vault audience "auth/kubernetes/role/$role"
  is '[pay]' bound_service_account_names "auth/kubernetes/role/$role"
  is '[payments]' bound_service_account_namespaces "auth/kubernetes/role/$role"
  is "[$role]" token_policies "auth/kubernetes/role/$role"
  vault policy read "$role" >/dev/null
done

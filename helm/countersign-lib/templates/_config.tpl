{{/* The configuration, a whole ConfigMap. */}}
{{- define "countersign.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "countersign.name" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
data:
  countersign.toml: |
    {{- include "countersign.toml" . | nindent 4 }}
{{- end -}}

{{/* The policies, a whole ConfigMap, unless there is one already. */}}
{{- define "countersign.policies" -}}
{{- if not .enclave.policies.configMap -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "countersign.name" . }}-policies
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
data:
  {{- range .enclave.policies.files }}
  {{ .name }}: |
    {{- .text | trim | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Strings and lists of strings are written as JSON, which TOML reads the same. */}}
{{- define "countersign.toml" -}}
{{- $enclave := .enclave -}}
environment = {{ toJson .enclave.environment }}

[listen]
enclave = "/run/countersign/enclave.sock"
{{- if include "countersign.hasCustodySocket" . }}
custody = "/run/countersign-custody/custody.sock"
{{- end }}
{{- with .enclave.custody.tls }}
{{- if .enabled }}

[listen.custody_tls]
address = "0.0.0.0:{{ int64 .port }}"
reachable_from_network = true
certificate_file = "/etc/countersign/custody-tls/tls.crt"
key_file = "/etc/countersign/custody-tls/tls.key"
client_ca_file = "/etc/countersign/custody-tls/people.crt"
{{- end }}
{{- end }}
{{ range .enclave.callers }}
[[caller]]
name = {{ toJson .name }}
{{- with .uid }}
uid = {{ int64 . }}
{{- end }}
{{- with .spiffeId }}
spiffe_id = {{ toJson . }}
{{- end }}
{{- with .groups }}
groups = {{ toJson . }}
{{- end }}
{{- with .rate }}
rate = {{ toJson . }}
{{- end }}
{{- with .burst }}
burst = {{ int64 . }}
{{- end }}
{{ end }}
[policy]
directory = "/etc/countersign/policies"
{{ range .enclave.amountLimits }}
[[amount_limit]]
name = {{ toJson .name }}
unit = {{ toJson .unit }}
{{- with .chainId }}
chain_id = {{ int64 . }}
{{- end }}
{{- with .token }}
token = {{ toJson . }}
{{- end }}
{{- with .mint }}
mint = {{ toJson . }}
{{- end }}
at_most = {{ toJson .atMost }}
{{ end }}
{{- range .enclave.tags }}
[[tags]]
{{- with .wallet }}
wallet = {{ toJson . }}
{{- end }}
{{- with .share }}
share = {{ toJson . }}
{{- end }}
{{- range $tag, $text := .set }}
set.{{ toJson $tag }} = {{ toJson $text }}
{{- end }}
{{ end }}
{{ include "countersign.toml.store" . }}

{{ include "countersign.toml.kms" . }}

{{ include "countersign.toml.audit" . }}

[custody]
destroy_after = {{ toJson .enclave.custody.destroyAfter }}

{{ include "countersign.toml.limits" .enclave.limits }}

[log]
level = {{ toJson .enclave.log.level }}
{{- with .enclave.metrics }}
{{- if .enabled }}

[metrics]
listen = "{{ ternary "[::]" .address (eq .address "::") }}:{{ int64 .port }}"
reachable_from_network = true
{{- end }}
{{- end }}
{{- with .enclave.traces }}
{{- if .endpoint }}

[traces]
endpoint = {{ toJson .endpoint }}
{{- if hasPrefix "https:" .endpoint }}
ca_file = "/etc/countersign/traces/ca.pem"
{{- else }}
unencrypted = {{ .unencrypted }}
{{- end }}
ratio = {{ printf "%.6f" (float64 .ratio) }}
{{- end }}
{{- end }}

[health]
unready_after = "{{ int64 .enclave.probes.readiness.unreadyAfterSeconds }}s"
{{- with int64 .enclave.runtime.workers }}

[runtime]
workers = {{ . }}
{{- end }}
{{- with .enclave.memory.require }}

[memory]
require = {{ toJson . }}
{{- end }}
{{- with .enclave.extraConfig }}

{{ trim . }}
{{- end }}
{{- end -}}

{{- define "countersign.toml.store" -}}
[store]
kind = {{ toJson .enclave.store.kind }}
{{- if eq .enclave.store.kind "sqlite" }}
path = "/var/lib/countersign/shares.db"
{{- else if eq .enclave.store.kind "postgres" }}
{{ include "countersign.toml.database" (dict "database" .enclave.store.postgres "files" "/etc/countersign/postgres") }}
pool_size = {{ int64 .enclave.store.postgres.poolSize }}
{{- else if eq .enclave.store.kind "vault-kv" }}
mount = {{ toJson .enclave.store.vaultKv.mount }}
prefix = {{ toJson .enclave.store.vaultKv.prefix }}
{{- else }}
path = "/etc/countersign/shares"
{{- end }}
{{- end -}}

{{- define "countersign.toml.database" -}}
host = {{ toJson .database.host }}
port = {{ int64 .database.port }}
database = {{ toJson .database.database }}
user = {{ toJson .database.user }}
password_file = "{{ .files }}/password"
ca_file = "{{ .files }}/ca.pem"
{{- end -}}

{{- define "countersign.toml.kms" -}}
{{- $environment := .enclave.environment -}}
{{- $custody := include "countersign.hasCustody" . -}}
[kms]
kind = {{ toJson .enclave.kms.kind }}
{{- if eq .enclave.kms.kind "local" }}
kek_file = "/var/lib/countersign/kek"
{{- end }}
{{- if include "countersign.usesVault" . }}

[vault]
addresses = {{ toJson .enclave.vault.addresses }}
ca_file = "/etc/countersign/vault/ca.pem"
{{- with .enclave.vault.namespace }}
namespace = {{ toJson . }}
{{- end }}
{{- if eq .enclave.kms.kind "vault-transit" }}
mount = {{ toJson .enclave.vault.mount }}
key = {{ .enclave.vault.key | default (printf "countersign-%s" $environment) | toJson }}
{{- end }}
connect_timeout = {{ toJson .enclave.vault.connectTimeout }}
request_timeout = {{ toJson .enclave.vault.requestTimeout }}
{{- if eq .enclave.kms.kind "vault-transit" }}
{{ include "countersign.toml.login" (dict "login" "signer" "vault" .enclave.vault "role" (include "countersign.vaultRole.signer" .)) }}
{{- if $custody }}
{{ include "countersign.toml.login" (dict "login" "custodian" "vault" .enclave.vault "role" (include "countersign.vaultRole.custodian" .)) }}
{{- end }}
{{- end }}
{{- if eq .enclave.store.kind "vault-kv" }}
{{ include "countersign.toml.login" (dict "login" "store" "vault" .enclave.vault "role" (include "countersign.vaultRole.store" .)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.toml.login" }}
[vault.{{ .login }}]
method = {{ toJson .vault.method }}
{{- with .vault.authMount }}
mount = {{ toJson . }}
{{- end }}
role = {{ toJson .role }}
token_file = "/var/run/secrets/countersign/token"
{{- end -}}

{{- define "countersign.vaultRole.signer" -}}
{{ .enclave.vault.signerRole | default (printf "countersign-%s-signer" .enclave.environment) }}
{{- end -}}

{{- define "countersign.vaultRole.custodian" -}}
{{ .enclave.vault.custodianRole | default (printf "countersign-%s-custodian" .enclave.environment) }}
{{- end -}}

{{/* The store's login reads, and writes where custody is offered. */}}
{{- define "countersign.vaultRole.store" -}}
{{- $role := "store-reader" -}}
{{- if include "countersign.hasCustody" . }}{{ $role = "store" }}{{ end -}}
{{ .enclave.vault.storeRole | default (printf "countersign-%s-%s" .enclave.environment $role) }}
{{- end -}}

{{- define "countersign.toml.audit" -}}
[audit]
directory = "/var/lib/countersign/audit"
file_mib = {{ int64 .enclave.audit.fileMib }}
file_age = {{ toJson .enclave.audit.fileAge }}
compress = {{ .enclave.audit.compress }}
keep = {{ toJson .enclave.audit.keep }}
checkpoints = {{ toJson .enclave.audit.checkpoints }}
{{- if .enclave.audit.postgres.enabled }}

[audit.postgres]
{{ include "countersign.toml.database" (dict "database" .enclave.audit.postgres "files" "/etc/countersign/audit-postgres") }}
{{- end }}
{{- with .enclave.audit.webhook }}
{{- if .url }}

[audit.webhook]
url = {{ toJson .url }}
ca_file = "/etc/countersign/audit-webhook/ca.pem"
{{- if .token.secret }}
token_file = "/etc/countersign/audit-webhook/token"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.toml.limits" -}}
[limits]
in_flight = {{ int64 .inFlight }}
streams = {{ int64 .streams }}
connections = {{ int64 .connections }}
grace = "{{ int64 .graceSeconds }}s"
{{- with .callerRate }}
caller_rate = {{ toJson . }}
{{- end }}
{{- with int64 .callerBurst }}
caller_burst = {{ . }}
{{- end }}
{{- with .shareRate }}
share_rate = {{ toJson . }}
{{- end }}
{{- with int64 .shareBurst }}
share_burst = {{ . }}
{{- end }}
{{- end -}}

{{/*
Fails with every problem at once: values that contradict each other, and what a production environment must not have.
What a single value may be is in values.schema.json. Besides `root`, `enclave` and `role` it takes of the pod

  replicas     how many there may be
  grace        its terminationGracePeriodSeconds
  containers   the other containers: `name`, `runAsUser` and `volumeMounts` of each
  problems     what the chart found itself, a list of sentences; may be left out
*/}}
{{- define "countersign.validate" -}}
{{- $problems := list -}}
{{- range splitList "\n" (include "countersign.problems" . | trim) -}}
{{- with trim . }}{{ $problems = append $problems (printf "  - %s" .) }}{{ end -}}
{{- end -}}
{{- range .problems }}{{ $problems = append $problems (printf "  - %s" .) }}{{ end -}}
{{- if $problems -}}
{{- fail (printf "\n\nThe values do not fit together:\n%s\n" (join "\n" $problems)) -}}
{{- end -}}
{{- end -}}

{{- define "countersign.problems" -}}
{{ include "countersign.problems.cluster" . }}
{{ include "countersign.problems.callers" . }}
{{ include "countersign.problems.custody" . }}
{{ include "countersign.problems.policies" . }}
{{ include "countersign.problems.kms" . }}
{{ include "countersign.problems.store" . }}
{{ include "countersign.problems.state" . }}
{{ include "countersign.problems.audit" . }}
{{ include "countersign.problems.traces" . }}
{{ include "countersign.problems.resources" . }}
{{ include "countersign.problems.locked" . }}
{{ include "countersign.problems.extraConfig" . }}
{{ include "countersign.problems.production" . }}
{{- end -}}

{{- define "countersign.problems.cluster" -}}
{{- if not (semverCompare ">=1.33.0-0" .root.Capabilities.KubeVersion.Version) }}
Kubernetes {{ .root.Capabilities.KubeVersion.Version }} has no stable native sidecars: it takes 1.33 or newer
{{- end }}
{{- if lt (int64 .grace) (add 10 .enclave.limits.graceSeconds) }}
terminationGracePeriodSeconds {{ int64 .grace }} is too short: the enclave ends after the application, and takes limits.graceSeconds ({{ int64 .enclave.limits.graceSeconds }}) and up to 10 more
{{- end }}
{{- end -}}

{{- define "countersign.problems.callers" -}}
{{- $enclave := .enclave -}}
{{- if not .enclave.callers }}
callers is empty: nobody could call; name at least one, by the runAsUser of its container
{{- end }}
{{- range .enclave.callers }}
{{- if and .uid (eq (int64 .uid) (int64 $enclave.runAsUser)) (not $enclave.custody.enabled) }}
callers: {{ .name }} has the uid of the enclave ({{ int64 .uid }}), which no caller may have
{{- end }}
{{- end }}
{{- range .containers }}
{{- if and $enclave.runAsUser (not .runAsUser) }}
container {{ .name }} has no runAsUser: the enclave knows callers by it
{{- else if and $enclave.runAsUser (eq (int64 .runAsUser) (int64 $enclave.runAsUser)) }}
container {{ .name }} runs as the enclave's user ({{ int64 .runAsUser }}): it could read the enclave's token and write where its socket is
{{- end }}
{{- $container := .name }}
{{- range .volumeMounts }}
{{- if and (hasPrefix "countersign-" .name) (not (and (eq .name "countersign-socket") .readOnly)) }}
container {{ $container }} mounts {{ .name }}: of the enclave's volumes others may have countersign-socket, read-only
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.custody" -}}
{{- $tls := .enclave.custody.tls -}}
{{- $people := list -}}
{{- range .enclave.callers }}{{ if .spiffeId }}{{ $people = append $people .name }}{{ end }}{{ end -}}
{{- if $tls.enabled }}
{{- if ne (.role | default "signer") "custodian" }}
custody.tls.enabled in the application's pod: no signer offers custody to the network; use the chart countersign-custody
{{- end }}
{{- if not $tls.secret }}
custody.tls.secret is empty: it has the server's tls.crt and tls.key
{{- end }}
{{- if not $people }}
custody.tls.enabled, and nobody has a spiffeId to come with
{{- end }}
{{- if and .enclave.metrics.enabled (eq (int64 $tls.port) (int64 .enclave.metrics.port)) }}
custody.tls.port {{ int64 $tls.port }} is metrics.port: give each a port of its own
{{- end }}
{{- else }}
{{- if .enclave.networkPolicy.custody.from }}
networkPolicy.custody.from is for custody.tls, which is not enabled
{{- end }}
{{- if and $people (not (contains "[listen.tls]" .enclave.extraConfig)) }}
callers: {{ join ", " $people }} would come with a certificate, and no listener takes one: {{ if eq (.role | default "signer") "custodian" }}enable custody.tls{{ else }}write [listen.tls] into extraConfig{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.policies" -}}
{{- with .enclave.policies }}
{{- if and (not .files) (not .configMap) }}
policies: there is none, so that nothing would ever be permitted; give policies.files or policies.configMap
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.kms" -}}
{{- if include "countersign.usesVault" . }}
{{- with .enclave.vault }}
{{- if not .addresses }}
vault.addresses is empty
{{- end }}
{{- if not .ca.configMap }}
vault.ca.configMap is empty: no authority is trusted but the one that it has
{{- end }}
{{- end }}
{{- with .enclave.vault.key }}
{{- if not (hasSuffix (printf "-%s" $.enclave.environment) .) }}
vault.key {{ . }} does not end with -{{ $.enclave.environment }}: each environment has a key of its own
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.store" -}}
{{- $store := .enclave.store -}}
{{- $hasCustody := include "countersign.hasCustody" . -}}
{{- if eq $store.kind "sqlite" }}
{{- if gt (int64 .replicas) 1 }}
store.kind sqlite is for one enclave, and there are {{ int64 .replicas }} replicas: use postgres
{{- end }}
{{- if and (ne .enclave.state.kind "claim") (include "countersign.isProduction" .) }}
store.kind sqlite with state.kind {{ .enclave.state.kind }} loses every share with the pod: use a claim, or postgres
{{- end }}
{{- else if eq $store.kind "postgres" }}
{{ include "countersign.problems.database" (dict "path" "store.postgres" "database" $store.postgres) }}
{{- else if and (eq $store.kind "directory") (not $store.directory.secret) }}
store.directory.secret is empty
{{- else if and (eq $store.kind "directory") $hasCustody }}
store.kind directory is read-only: no custody
{{- end }}
{{- if and (eq .enclave.kms.kind "local") (gt (int64 .replicas) 1) }}
kms.kind local is a file of one pod, and there are {{ int64 .replicas }} replicas: use vault-transit
{{- end }}
{{- end -}}

{{- define "countersign.problems.database" -}}
{{- $path := .path -}}
{{- with .database }}
{{- if not .host }}
{{ $path }}.host is empty
{{- end }}
{{- if not .password.secret }}
{{ $path }}.password.secret is empty
{{- end }}
{{- if not .ca.configMap }}
{{ $path }}.ca.configMap is empty: no authority is trusted but the one that it has
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.state" -}}
{{- with .enclave.state }}
{{- if eq .medium "Memory" }}
state.medium Memory: the audit log has to outlive power; leave it empty, which is the disk
{{- end }}
{{- if and .existingClaim (ne .kind "claim") }}
state.existingClaim is for state.kind claim, and it is {{ .kind }}
{{- end }}
{{- if and (eq .kind "claim") (gt (int64 $.replicas) 1) }}
state.kind claim is one volume, and there are {{ int64 $.replicas }} replicas, each with a log of its own: use ephemeral
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.audit" -}}
{{- if .enclave.audit.postgres.enabled }}
{{ include "countersign.problems.database" (dict "path" "audit.postgres" "database" .enclave.audit.postgres) }}
{{- end }}
{{- with .enclave.audit.webhook }}
{{- if and .url (not .ca.configMap) }}
audit.webhook.ca.configMap is empty: no authority is trusted but the one that it has
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.traces" -}}
{{- with .enclave.traces }}
{{- if and (hasPrefix "https:" .endpoint) (not .ca.configMap) }}
traces.ca.configMap is empty: no authority is trusted but the one that it has
{{- else if and (hasPrefix "http:" .endpoint) (not .unencrypted) (not (regexMatch "^http://(localhost|127\\.[0-9.]+|\\[::1\\])(:|/|$)" .endpoint)) }}
traces.endpoint {{ .endpoint }} is not encrypted: whoever is on the way reads which caller uses which share; use https, or set traces.unencrypted if that is meant
{{- end }}
{{- end }}
{{- end -}}

{{/*
What in-flight calls take at most: a message of 128 KiB and what is decoded of it for each, twice that for each stream,
beside 48 MiB for the program itself (docs/limits.md, docs/bench.md).
*/}}
{{- define "countersign.problems.resources" -}}
{{- $has := include "countersign.mebibytes" (toString .enclave.resources.memory) | int64 -}}
{{- $takes := add 48 (div (add .enclave.limits.inFlight (mul 2 .enclave.limits.streams)) 4) -}}
{{- if lt $has $takes }}
resources.memory {{ .enclave.resources.memory }} is less than limits.inFlight {{ int64 .enclave.limits.inFlight }} and limits.streams {{ int64 .enclave.limits.streams }} can take: {{ $takes }}Mi
{{- end }}
{{- end -}}

{{/*
What has to be locked, in KiB: a slot of 4 for each call in flight, each stream and some more; two large ones; what each
worker works on; and the thread that speaks to Vault. `countersign check` says the same, which a test compares.
*/}}
{{- define "countersign.lockedKib" -}}
{{- $slots := add .enclave.limits.inFlight .enclave.limits.streams 9 -}}
{{- if include "countersign.hasCustody" . }}{{ $slots = add $slots 4 }}{{ end -}}
{{- $thread := 0 -}}
{{- if eq .enclave.kms.kind "vault-transit" }}{{ $thread = 1472 }}{{ else }}{{ $slots = add $slots 8 }}{{ end -}}
{{- add (mul 4 $slots) 128 (mul 144 (include "countersign.workers" . | int64)) $thread -}}
{{- end -}}

{{/* As the program reckons them where it is not told: the CPU limit, in whole cores, from 1 to 8. */}}
{{- define "countersign.workers" -}}
{{- $cpu := toString .enclave.resources.cpu -}}
{{- $cores := ternary (divf (trimSuffix "m" $cpu) 1000) (float64 $cpu) (hasSuffix "m" $cpu) -}}
{{- .enclave.runtime.workers | int64 | default (min 8 (max 1 (floor $cores))) -}}
{{- end -}}

{{- define "countersign.problems.locked" -}}
{{- $takes := include "countersign.lockedKib" . | int64 -}}
{{- if gt $takes (int64 .enclave.memory.lockableKib) }}
memory.lockableKib {{ int64 .enclave.memory.lockableKib }} is less than what the enclave locks with limits.inFlight {{ int64 .enclave.limits.inFlight }}, limits.streams {{ int64 .enclave.limits.streams }} and {{ include "countersign.workers" . }} workers: {{ $takes }}; lower them, or raise RLIMIT_MEMLOCK of the nodes' container runtime and say so
{{- end }}
{{- end -}}

{{/* A table can stand in TOML once: the program would not start. Those of lists (`[[caller]]`) can stand there again. */}}
{{- define "countersign.problems.extraConfig" -}}
{{- $own := include "countersign.toml" (dict "root" .root "role" .role "enclave" (omit .enclave "extraConfig")) -}}
{{- range regexFindAll "(?m)^\\s*\\[[^\\[\\]]+\\]" .enclave.extraConfig -1 | uniq }}
{{- if has (trim .) (regexFindAll "(?m)^\\[[^\\[\\]]+\\]" $own -1) }}
extraConfig has the table {{ trim . }}, which is made of the other values: set those
{{- end }}
{{- end }}
{{- end -}}

{{- define "countersign.problems.production" -}}
{{- if include "countersign.isProduction" . }}
{{- if eq .enclave.kms.kind "local" }}
kms.kind local keeps the KEK in a file beside the records: refused in a production environment
{{- end }}
{{- if and .enclave.custody.enabled (ne (.role | default "signer") "custodian") }}
custody.enabled in the application's pod: refused in a production environment, where it is the chart countersign-custody
{{- end }}
{{- if eq .enclave.memory.require "mlock" }}
memory.require mlock lets root read open shares: refused in a production environment
{{- end }}
{{- if hasSuffix ":0000000000000000000000000000000000000000000000000000000000000000" .enclave.image.digest }}
image.digest is the placeholder
{{- end }}
{{- end }}
{{- end -}}

{{/* A quantity of memory in whole MiB, rounded down. */}}
{{- define "countersign.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $bytes := dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 -}}
{{- div (mul $number (get $bytes $unit)) 1048576 -}}
{{- end -}}

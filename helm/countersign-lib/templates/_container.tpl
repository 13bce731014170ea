{{/*
The enclave's container. `countersign.sidecar` is the same as a native sidecar, an item of `initContainers`: the
application starts after its startup probe and ends before it, and a Job completes without it.
*/}}
{{- define "countersign.container" -}}
name: countersign
image: {{ printf "%s@%s" .enclave.image.repository .enclave.image.digest | quote }}
imagePullPolicy: {{ .enclave.image.pullPolicy }}
command: [{{ .enclave.image.binary | quote }}]
args: [serve, --config, /etc/countersign/config/countersign.toml]
{{- if .enclave.traces.endpoint }}
env:
  - name: POD
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: k8s.pod.name=$(POD),k8s.namespace.name=$(NAMESPACE)
{{- end }}
{{- if or .enclave.metrics.enabled .enclave.custody.tls.enabled }}
ports:
  {{- with .enclave.metrics }}
  {{- if .enabled }}
  - {name: enclave-metrics, containerPort: {{ int64 .port }}, protocol: TCP}
  {{- end }}
  {{- end }}
  {{- with .enclave.custody.tls }}
  {{- if .enabled }}
  - {name: enclave-custody, containerPort: {{ int64 .port }}, protocol: TCP}
  {{- end }}
  {{- end }}
{{- end }}
{{ include "countersign.resources" . }}
securityContext:
  {{- include "countersign.securityContext" . | nindent 2 }}
{{ include "countersign.probes" . }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- include "countersign.volumeMounts" . | nindent 2 }}
{{- end -}}

{{- define "countersign.sidecar" -}}
{{ include "countersign.container" . }}
restartPolicy: Always
{{- end -}}

{{/* Request and limit are the same, so that a pod whose other containers do likewise is Guaranteed: it has no swap. */}}
{{- define "countersign.resources" -}}
{{- $amounts := dict "cpu" (toString .enclave.resources.cpu) "memory" (toString .enclave.resources.memory) -}}
resources:
  requests:
    {{- toYaml $amounts | nindent 4 }}
  limits:
    {{- toYaml $amounts | nindent 4 }}
{{- end -}}

{{- define "countersign.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- with .enclave.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .enclave.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/*
Startup and liveness ask the process alone: neither a sealed Vault nor a database that is away starts the container
anew, or keeps the application from starting. Readiness asks for store, KMS and audit log; the enclave itself waits before it
says that store or KMS are away (`health.unready_after`), and does not where the audit log cannot be written.
*/}}
{{- define "countersign.probes" -}}
{{- $health := list .enclave.image.binary "health" "--socket" "/run/countersign/enclave.sock" -}}
{{- with .enclave.probes -}}
startupProbe:
  exec:
    command: {{ append $health "--liveness" | toJson }}
  periodSeconds: {{ int64 .startup.periodSeconds }}
  failureThreshold: {{ int64 .startup.failureThreshold }}
  timeoutSeconds: {{ int64 .timeoutSeconds }}
livenessProbe:
  exec:
    command: {{ append $health "--liveness" | toJson }}
  periodSeconds: {{ int64 .liveness.periodSeconds }}
  failureThreshold: {{ int64 .liveness.failureThreshold }}
  timeoutSeconds: {{ int64 .timeoutSeconds }}
{{- if .readiness.enabled }}
readinessProbe:
  exec:
    command: {{ toJson $health }}
  periodSeconds: {{ int64 .readiness.periodSeconds }}
  failureThreshold: 1
  timeoutSeconds: {{ int64 .timeoutSeconds }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "countersign.volumeMounts" -}}
- name: countersign-socket
  mountPath: /run/countersign
{{- if include "countersign.hasCustodySocket" . }}
- name: countersign-custody
  mountPath: /run/countersign-custody
{{- end }}
{{- if .enclave.custody.tls.enabled }}
- name: countersign-custody-tls
  mountPath: /etc/countersign/custody-tls
  readOnly: true
{{- end }}
- name: countersign-config
  mountPath: /etc/countersign/config
  readOnly: true
- name: countersign-policies
  mountPath: /etc/countersign/policies
  readOnly: true
- name: countersign-state
  mountPath: /var/lib/countersign
{{- if include "countersign.usesVault" . }}
- name: countersign-vault-token
  mountPath: /var/run/secrets/countersign
  readOnly: true
- name: countersign-vault-ca
  mountPath: /etc/countersign/vault
  readOnly: true
{{- end }}
{{- if eq .enclave.store.kind "postgres" }}
- name: countersign-postgres
  mountPath: /etc/countersign/postgres
  readOnly: true
{{- end }}
{{- if eq .enclave.store.kind "directory" }}
- name: countersign-shares
  mountPath: /etc/countersign/shares
  readOnly: true
{{- end }}
{{- if .enclave.audit.postgres.enabled }}
- name: countersign-audit-postgres
  mountPath: /etc/countersign/audit-postgres
  readOnly: true
{{- end }}
{{- if .enclave.audit.webhook.url }}
- name: countersign-audit-webhook
  mountPath: /etc/countersign/audit-webhook
  readOnly: true
{{- end }}
{{- if hasPrefix "https:" .enclave.traces.endpoint }}
- name: countersign-traces
  mountPath: /etc/countersign/traces
  readOnly: true
{{- end }}
{{- with .enclave.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
For the application's container, an item of `volumeMounts`. Read-only: whoever may write there could remove the socket
and put another in its place. A socket connects all the same.
*/}}
{{- define "countersign.appMount" -}}
- name: countersign-socket
  mountPath: /run/countersign
  readOnly: true
{{- end -}}

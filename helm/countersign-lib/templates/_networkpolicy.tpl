{{/*
What the enclave has to reach, items of `egress` of a NetworkPolicy. A policy is for the whole pod: the application's own
rules stand beside these. Ports are those of pods: behind a Service with another port give `networkPolicy.vault.ports`.
*/}}
{{- define "countersign.egress" -}}
{{- $policy := .enclave.networkPolicy -}}
{{ include "countersign.egress.dns" . }}
{{- if include "countersign.usesVault" . }}
{{ include "countersign.egress.vault" . }}
{{- end }}
{{- if eq .enclave.store.kind "postgres" }}
{{ include "countersign.egressRule" (dict "to" $policy.postgres.to "ports" (list .enclave.store.postgres.port)) }}
{{- end }}
{{- if .enclave.audit.postgres.enabled }}
{{ include "countersign.egressRule" (dict "to" $policy.auditPostgres.to "ports" (list .enclave.audit.postgres.port)) }}
{{- end }}
{{- with .enclave.audit.webhook.url }}
{{ include "countersign.egressRule" (dict "to" $policy.auditWebhook.to "ports" (list (include "countersign.portOf" .))) }}
{{- end }}
{{- with .enclave.traces.endpoint }}
{{ include "countersign.egressRule" (dict "to" $policy.traces.to "ports" (list (include "countersign.portOf" .))) }}
{{- end }}
{{- end -}}

{{- define "countersign.egress.dns" -}}
{{- with .enclave.networkPolicy.dns -}}
- ports:
    {{- range .ports }}
    - {port: {{ int64 . }}, protocol: UDP}
    - {port: {{ int64 . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "countersign.egress.vault" -}}
{{- $ports := .enclave.networkPolicy.vault.ports | default (include "countersign.vaultPorts" . | fromJsonArray) -}}
{{ include "countersign.egressRule" (dict "to" .enclave.networkPolicy.vault.to "ports" $ports) }}
{{- end -}}

{{/* Who may scrape, and who may keep shares over TLS: items of `ingress`; empty where nobody may. */}}
{{- define "countersign.ingress" -}}
{{- include "countersign.ingressRules" . | trim -}}
{{- end -}}

{{- define "countersign.ingressRules" -}}
{{- $people := .enclave.networkPolicy.custody.from -}}
{{- if and .enclave.custody.tls.enabled $people }}
- ports:
    - {port: {{ int64 .enclave.custody.tls.port }}, protocol: TCP}
  from:
    {{- toYaml $people | nindent 4 }}
{{- end }}
{{- $from := .enclave.networkPolicy.metrics.from -}}
{{- if and .enclave.metrics.enabled $from }}
- ports:
    - {port: {{ int64 .enclave.metrics.port }}, protocol: TCP}
  from:
    {{- toYaml $from | nindent 4 }}
{{- end -}}
{{- end -}}

{{- define "countersign.egressRule" -}}
- ports:
    {{- range .ports }}
    - {port: {{ int64 . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The port of an https or http address. */}}
{{- define "countersign.portOf" -}}
{{- $host := regexReplaceAll "^https?://([^/]+).*$" . "${1}" -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $host) | default (ternary "80" "443" (hasPrefix "http:" .)) -}}
{{- end -}}

{{- define "countersign.vaultPorts" -}}
{{- $ports := list -}}
{{- range .enclave.vault.addresses }}{{ $ports = append $ports (include "countersign.portOf" . | int64) }}{{ end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/*
Every template here takes one dict:

  root     the chart's own context, `$`
  enclave  the values of this library, `.Values.enclave`
  role     "signer", or "custodian" in the chart of the operators. Default: signer

and writes YAML that begins in the first column. Names are quoted: those of releases and ConfigMaps may look like numbers.
*/}}

{{- define "countersign.name" -}}
{{- .enclave.nameOverride | default (printf "%s-enclave" .root.Release.Name) | trunc 50 | trimSuffix "-" | trimSuffix "." -}}
{{- end -}}

{{- define "countersign.labels" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: enclave
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Not empty for an environment that the program takes for production: a part of its name says so. */}}
{{- define "countersign.isProduction" -}}
{{- $parts := splitList "-" .enclave.environment -}}
{{- if or (has "prod" $parts) (has "production" $parts) }}true{{ end -}}
{{- end -}}

{{/* Not empty where custody is offered. */}}
{{- define "countersign.hasCustody" -}}
{{- if or (eq (.role | default "signer") "custodian") .enclave.custody.enabled }}true{{ end -}}
{{- end -}}

{{/* Not empty where that is on a socket, too: in the operators' chart for those who have a uid. */}}
{{- define "countersign.hasCustodySocket" -}}
{{- if .enclave.custody.enabled }}true{{ else if include "countersign.hasCustody" . -}}
{{- range .enclave.callers }}{{ if .uid }}true{{ end }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Not empty where somebody has to log in at Vault. */}}
{{- define "countersign.usesVault" -}}
{{- if or (eq .enclave.kms.kind "vault-transit") (eq .enclave.store.kind "vault-kv") }}true{{ end -}}
{{- end -}}

{{/* Not empty where SQLite or the local KEK live in the state volume, besides the audit log. */}}
{{- define "countersign.keepsRecords" -}}
{{- if or (eq .enclave.store.kind "sqlite") (eq .enclave.kms.kind "local") }}true{{ end -}}
{{- end -}}

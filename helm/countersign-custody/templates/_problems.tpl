{{/* What does not fit together in the values of this chart, a line each, besides what the library finds. */}}
{{- define "custody.problems" -}}
{{- $seen := dict -}}
{{- range include "custody.desks" . | fromJsonArray }}
{{- if hasKey $seen .user }}
operators: {{ .user }} has two desks: each person has one
{{- end }}
{{- $_ := set $seen .user .name }}
{{- end }}
{{- if .Values.enclave.callers }}
enclave.callers: who calls are the operators
{{- end }}
{{- if .Values.enclave.custody.enabled }}
enclave.custody.enabled is for an application's pod: here there is custody anyway
{{- end }}
{{- if and (include "countersign.isProduction" (dict "enclave" .Values.enclave)) (not .Values.guard.enabled) }}
guard.enabled: without it whoever has exec in the namespace is anybody: refused in a production environment
{{- end }}
{{- end -}}

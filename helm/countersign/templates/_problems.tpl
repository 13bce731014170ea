{{/* What does not fit together in the values of this chart, a line each, besides what the library finds. */}}
{{- define "app.problems" -}}
{{- if and .Values.app.image.repository (not .Values.app.image.digest) }}
app.image.digest is empty: there are no tags
{{- end }}
{{- if and (eq (.Values.strategy | default "") "RollingUpdate") (eq .Values.enclave.state.kind "claim") }}
strategy RollingUpdate starts a second pod beside the first, and state.kind claim is one volume with one log: leave strategy empty
{{- end }}
{{- range $label, $_ := omit (include "app.labels" . | fromYaml) "helm.sh/chart" "app.kubernetes.io/managed-by" }}
{{- if hasKey ($.Values.podLabels | default dict) $label }}
podLabels has {{ $label }}, by which the pods are found
{{- end }}
{{- end }}
{{- if hasKey (.Values.podAnnotations | default dict) "countersign/configuration" }}
podAnnotations has countersign/configuration, which makes new pods for another configuration
{{- end }}
{{- range list "podMonitor" "prometheusRule" "dashboard" }}
{{- if and (get $.Values .).enabled (not $.Values.enclave.metrics.enabled) }}
{{ . }}: there are no metrics without enclave.metrics.enabled
{{- end }}
{{- end }}
{{- if .Values.podMonitor.enabled }}
{{- if and .Values.networkPolicy.enabled (not .Values.enclave.networkPolicy.metrics.from) (not .Values.networkPolicy.ingress) }}
podMonitor: the NetworkPolicy lets nobody scrape; name the scraper in enclave.networkPolicy.metrics.from
{{- end }}
{{- end }}
{{- if .Values.vaultSetup.enabled }}
{{- if not (include "countersign.usesVault" (dict "enclave" .Values.enclave)) }}
vaultSetup: neither KMS nor store is Vault
{{- end }}
{{- if not .Values.vaultSetup.token.secret }}
vaultSetup.token.secret is empty: the Job needs a token of an administrator
{{- end }}
{{- end }}
{{- end -}}

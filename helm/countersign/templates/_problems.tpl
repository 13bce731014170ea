{{/* What does not fit together in the values of this chart, a line each, besides what the library finds. */}}
{{- define "app.problems" -}}
{{- if and .Values.app.image.repository (not .Values.app.image.digest) }}
app.image.digest is empty: there are no tags
{{- end }}
{{- if and (eq (.Values.strategy | default "") "RollingUpdate") (eq .Values.enclave.state.kind "claim") }}
strategy RollingUpdate starts a second pod beside the first, and state.kind claim is one volume with one log: leave strategy empty
{{- end }}
{{- if .Values.podMonitor.enabled }}
{{- if not .Values.enclave.metrics.enabled }}
podMonitor: there is nothing to scrape without enclave.metrics.enabled
{{- end }}
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

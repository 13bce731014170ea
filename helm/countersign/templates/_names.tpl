{{- define "app.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" | trimSuffix "." -}}
{{- end -}}

{{- define "app.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "app.labels" -}}
{{ include "app.selector" . }}
app.kubernetes.io/component: app
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Not empty where a container of the pod can be a caller, by its uid or by a certificate. */}}
{{- define "app.hasCaller" -}}
{{- $uids := list -}}
{{- range .Values.enclave.callers }}{{ $uids = append $uids (int64 .uid) }}{{ end -}}
{{- if or (has (int64 .Values.app.runAsUser) $uids) (contains "spiffe_id" .Values.enclave.extraConfig) }}true{{ end -}}
{{- range .Values.app.extraContainers -}}
{{- if has (dig "securityContext" "runAsUser" 0 . | int64) $uids }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- define "app.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "app.name" .) }}
{{- end -}}

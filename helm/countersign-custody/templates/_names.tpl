{{- define "custody.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" | trimSuffix "." -}}
{{- end -}}

{{/* A Service's name has no dots and begins with a letter. */}}
{{- define "custody.service" -}}
{{- $name := include "custody.name" . | replace "." "-" -}}
{{- if regexMatch "^[a-z]" $name }}{{ $name }}{{ else }}{{ printf "custody-%s" $name }}{{ end -}}
{{- end -}}

{{- define "custody.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "custody.labels" -}}
{{ include "custody.selector" . }}
app.kubernetes.io/component: custody
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "custody.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "custody.name" .) }}
{{- end -}}

{{/* Those who have a desk, as JSON; the others come over TLS. */}}
{{- define "custody.desks" -}}
{{- $desks := list -}}
{{- range .Values.operators }}{{ if .uid }}{{ $desks = append $desks . }}{{ end }}{{ end -}}
{{- toJson $desks -}}
{{- end -}}

{{/* The values of the enclave, with the operators as its callers; as JSON, since a template gives text. */}}
{{- define "custody.enclave" -}}
{{- $callers := list -}}
{{- range .Values.operators -}}
{{- $callers = append $callers (omit . "user") -}}
{{- end -}}
{{- merge (dict "callers" $callers) (omit .Values.enclave "callers") | toJson -}}
{{- end -}}

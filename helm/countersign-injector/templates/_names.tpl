{{- define "injector.name" -}}
{{ printf "countersign-%s" .Release.Name }}
{{- end -}}

{{- define "injector.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Which pods: those of the namespaces that carry the label. Keys of `matchConstraints`. */}}
{{- define "injector.pods" -}}
resourceRules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
objectSelector:
  matchLabels:
    countersign/inject: {{ .Release.Name | quote }}
{{- end -}}

{{- define "injector.namespaceSelector" -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ toJson .Values.namespaces }}
{{- end -}}

{{/*
A Role with its binding that lets `users` connect to the pod by one `resource` of it, and find it by its `workload`, as kubectl
does. Which container is the guard's part: RBAC knows pods alone.
*/}}
{{- define "custody.access" -}}
{{- $name := printf "%s-%s" (include "custody.name" .root) .name -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "custody.labels" .root | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list]
  - apiGroups: {{ toJson .workload.apiGroups }}
    resources: {{ toJson .workload.resources }}
    verbs: [get]
  - apiGroups: [""]
    resources: [{{ .resource }}]
    verbs: [create, get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "custody.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name | quote }}
subjects:
  {{- range .users }}
  - {kind: User, apiGroup: rbac.authorization.k8s.io, name: {{ . | quote }}}
  {{- end }}
{{- end -}}

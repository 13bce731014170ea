{{/* The enclave's volumes, items of the pod's `volumes`. Modes are decimal: 288 is 0440. */}}
{{- define "countersign.volumes" -}}
{{- $name := include "countersign.name" . -}}
- name: countersign-socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- if include "countersign.hasCustodySocket" . }}
- name: countersign-custody
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- with .enclave.custody.tls }}
{{- if .enabled }}
- name: countersign-custody-tls
  projected:
    defaultMode: 288
    sources:
      - secret:
          name: {{ .secret }}
          items:
            - {key: tls.crt, path: tls.crt}
            - {key: tls.key, path: tls.key}
            {{- if not .clientCa.configMap }}
            - {key: ca.crt, path: people.crt}
            {{- end }}
      {{- with .clientCa.configMap }}
      - configMap:
          name: {{ . }}
          items:
            - key: {{ $.enclave.custody.tls.clientCa.key | quote }}
              path: people.crt
      {{- end }}
{{- end }}
{{- end }}
- name: countersign-config
  configMap:
    name: {{ $name | quote }}
    defaultMode: 288
- name: countersign-policies
  configMap:
    name: {{ .enclave.policies.configMap | default (printf "%s-policies" $name) | quote }}
    defaultMode: 288
{{ include "countersign.stateVolume" . }}
{{- if include "countersign.usesVault" . }}
{{- with .enclave.vault }}
- name: countersign-vault-token
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .audience | quote }}
          expirationSeconds: {{ int64 .tokenSeconds }}
- name: countersign-vault-ca
  configMap:
    name: {{ .ca.configMap | quote }}
    defaultMode: 288
    items:
      - key: {{ .ca.key | quote }}
        path: ca.pem
{{- end }}
{{- end }}
{{- if eq .enclave.store.kind "postgres" }}
- name: countersign-postgres
  {{- include "countersign.database" .enclave.store.postgres | nindent 2 }}
{{- end }}
{{- if eq .enclave.store.kind "directory" }}
- name: countersign-shares
  secret:
    secretName: {{ .enclave.store.directory.secret | quote }}
    defaultMode: 288
{{- end }}
{{- if .enclave.audit.postgres.enabled }}
- name: countersign-audit-postgres
  {{- include "countersign.database" .enclave.audit.postgres | nindent 2 }}
{{- end }}
{{- with .enclave.audit.webhook }}
{{- if .url }}
- name: countersign-audit-webhook
  projected:
    defaultMode: 288
    sources:
      - configMap:
          name: {{ .ca.configMap | quote }}
          items:
            - key: {{ .ca.key | quote }}
              path: ca.pem
      {{- with .token }}
      {{- if .secret }}
      - secret:
          name: {{ .secret | quote }}
          items:
            - key: {{ .key | quote }}
              path: token
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
{{- with .enclave.traces }}
{{- if hasPrefix "https:" .endpoint }}
- name: countersign-traces
  configMap:
    name: {{ .ca.configMap | quote }}
    defaultMode: 288
    items:
      - key: {{ .ca.key | quote }}
        path: ca.pem
{{- end }}
{{- end }}
{{- with .enclave.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Password and authority of one database, in one directory. */}}
{{- define "countersign.database" -}}
projected:
  defaultMode: 288
  sources:
    - secret:
        name: {{ .password.secret | quote }}
        items:
          - key: {{ .password.key | quote }}
            path: password
    - configMap:
        name: {{ .ca.configMap | quote }}
        items:
          - key: {{ .ca.key | quote }}
            path: ca.pem
{{- end -}}

{{- define "countersign.stateVolume" -}}
{{- $state := .enclave.state -}}
- name: countersign-state
  {{- if eq $state.kind "claim" }}
  persistentVolumeClaim:
    claimName: {{ include "countersign.claimName" . | quote }}
  {{- else if eq $state.kind "ephemeral" }}
  ephemeral:
    volumeClaimTemplate:
      metadata:
        labels:
          app.kubernetes.io/name: countersign
          app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
          app.kubernetes.io/component: enclave
      spec:
        {{- include "countersign.claimSpec" . | nindent 8 }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $state.size }}
  {{- end }}
{{- end -}}

{{- define "countersign.claimName" -}}
{{ .enclave.state.existingClaim | default (printf "%s-state" (include "countersign.name" .)) }}
{{- end -}}

{{- define "countersign.claimSpec" -}}
accessModes: [{{ .enclave.state.accessMode }}]
{{- with .enclave.state.storageClassName }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .enclave.state.size }}
{{- end -}}

{{/* The claim of `state.kind: claim`, a whole object. Shares and the audit log outlive a release: it is not removed with it. */}}
{{- define "countersign.claim" -}}
{{- if and (eq .enclave.state.kind "claim") (not .enclave.state.existingClaim) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "countersign.claimName" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  {{- include "countersign.claimSpec" . | nindent 2 }}
{{- end -}}
{{- end -}}

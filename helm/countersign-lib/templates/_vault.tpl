{{/*
Sets up Vault, once: the Transit key, a policy and a role for each login, the role bound to the service account and its
audience. A ConfigMap with the commands, a Job that runs them, and a NetworkPolicy around it, whole objects. Takes

  serviceAccount   to which the roles are bound
  job              image, runAsUser, addresses' authority as the enclave has it, and the Secret with an administrator's token
  isolated         whether there is that NetworkPolicy: the Job reaches name servers and Vault, and nobody reaches it

It is a hook before everything else, since pods are not ready without Vault. The auth method is enabled and configured
already. The same commands by hand are in docs/vault.md; a test compares the policies with `countersign vault policy`.
*/}}
{{- define "countersign.vaultSetup" -}}
{{- $name := printf "%s-vault-setup" (include "countersign.name" .) -}}
{{- $logins := include "countersign.vaultLogins" . | splitList " " | compact -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-1"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
data:
  setup.sh: |
    {{- include "countersign.vaultCommands" (merge (dict "logins" $logins) .) | nindent 4 }}
  {{- range $logins }}
  {{ . }}.hcl: |
    {{- include (printf "countersign.vaultPolicy.%s" .) $ | nindent 4 }}
  {{- end }}
{{- if .isolated }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-1"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ $name }}
      app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- include "countersign.egress.dns" . | nindent 4 }}
    {{- include "countersign.egress.vault" . | nindent 4 }}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "countersign.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 300
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{ $name }}
        app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: vault
          image: {{ printf "%s@%s" .job.image.repository .job.image.digest | quote }}
          command: [sh, /setup/setup.sh]
          env:
            - {name: VAULT_ADDR, value: {{ first .enclave.vault.addresses | quote }}}
            - {name: VAULT_CACERT, value: /authority/ca.pem}
            {{- with .enclave.vault.namespace }}
            - {name: VAULT_NAMESPACE, value: {{ . | quote }}}
            {{- end }}
            - {name: HOME, value: /home}
          resources:
            requests: {cpu: 100m, memory: 128Mi}
            limits: {cpu: 100m, memory: 128Mi}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            runAsUser: {{ int64 .job.runAsUser }}
            runAsGroup: {{ int64 .job.runAsUser }}
            seccompProfile:
              type: RuntimeDefault
          volumeMounts:
            - {name: setup, mountPath: /setup, readOnly: true}
            - {name: authority, mountPath: /authority, readOnly: true}
            - {name: token, mountPath: /token, readOnly: true}
            - {name: home, mountPath: /home}
      volumes:
        - name: setup
          configMap:
            name: {{ $name }}
        - name: authority
          configMap:
            name: {{ .enclave.vault.ca.configMap | quote }}
            items:
              - {key: {{ .enclave.vault.ca.key | quote }}, path: ca.pem}
        - name: token
          secret:
            secretName: {{ .job.token.secret | quote }}
            items:
              - {key: {{ .job.token.key | quote }}, path: token}
        - name: home
          emptyDir:
            medium: Memory
            sizeLimit: 1Mi
{{- end -}}

{{/* The logins of `[vault.…]`, in the order of the configuration. */}}
{{- define "countersign.vaultLogins" -}}
{{- $logins := list -}}
{{- if eq .enclave.kms.kind "vault-transit" }}{{ $logins = append $logins "signer" }}{{ end -}}
{{- if and (eq .enclave.kms.kind "vault-transit") (include "countersign.hasCustody" .) }}{{ $logins = append $logins "custodian" }}{{ end -}}
{{- if eq .enclave.store.kind "vault-kv" }}{{ $logins = append $logins "store" }}{{ end -}}
{{- join " " $logins -}}
{{- end -}}

{{/* What is there already stays: the script can run again. */}}
{{- define "countersign.vaultCommands" -}}
{{- $vault := .enclave.vault -}}
{{- $key := include "countersign.vaultKey" . -}}
{{- $auth := $vault.authMount | default $vault.method -}}
set -eu
VAULT_TOKEN=$(cat /token/token)
export VAULT_TOKEN
{{- if eq .enclave.kms.kind "vault-transit" }}
vault read {{ $vault.mount }}/config/keys >/dev/null 2>&1 || vault secrets enable -path={{ $vault.mount }} transit
vault write {{ $vault.mount }}/config/keys disable_upsert=true
vault read {{ $vault.mount }}/keys/{{ $key }} >/dev/null 2>&1 ||
  vault write {{ $vault.mount }}/keys/{{ $key }} type=aes256-gcm96 derived=true auto_rotate_period=2160h
{{- end }}
{{- range .logins }}
{{- $role := include (printf "countersign.vaultRole.%s" .) $ }}
vault policy write {{ $role }} /setup/{{ . }}.hcl
{{- if eq $vault.method "kubernetes" }}
vault write auth/{{ $auth }}/role/{{ $role }} \
  bound_service_account_names={{ $.serviceAccount }} bound_service_account_namespaces={{ $.root.Release.Namespace }} \
  audience={{ $vault.audience }} alias_name_source=serviceaccount_uid \
{{- else }}
vault write auth/{{ $auth }}/role/{{ $role }} role_type=jwt user_claim=sub bound_audiences={{ $vault.audience }} \
  bound_subject=system:serviceaccount:{{ $.root.Release.Namespace }}:{{ $.serviceAccount }} \
{{- end }}
  token_policies={{ $role }} token_no_default_policy=true token_ttl=20m token_max_ttl=1h
{{- end }}
{{- end -}}

{{- define "countersign.vaultKey" -}}
{{ .enclave.vault.key | default (printf "countersign-%s" .enclave.environment) }}
{{- end -}}

{{/* How the context of every record of the environment begins, in base64: filled with colons to whole groups of three bytes. */}}
{{- define "countersign.vaultContext" -}}
{{- $prefix := printf "countersign:v1:%s:" .enclave.environment -}}
{{- printf "%s%s" $prefix (repeat (mod (sub 3 (mod (len $prefix) 3)) 3 | int) ":") | b64enc -}}
{{- end -}}

{{- define "countersign.vaultPolicy.signer" -}}
path "{{ .enclave.vault.mount }}/decrypt/{{ include "countersign.vaultKey" . }}" {
  capabilities        = ["update"]
  required_parameters = ["ciphertext", "context"]
  allowed_parameters  = {
    "ciphertext" = ["vault:v*"]
    "context" = ["{{ include "countersign.vaultContext" . }}*"]
  }
}
path "{{ .enclave.vault.mount }}/keys/{{ include "countersign.vaultKey" . }}" {
  capabilities = ["read"]
}
{{ include "countersign.vaultPolicy.self" . }}
{{- end -}}

{{- define "countersign.vaultPolicy.custodian" -}}
path "{{ .enclave.vault.mount }}/encrypt/{{ include "countersign.vaultKey" . }}" {
  capabilities        = ["update"]
  required_parameters = ["plaintext", "context"]
  allowed_parameters  = {
    "plaintext" = []
    "context" = ["{{ include "countersign.vaultContext" . }}*"]
  }
}
{{ include "countersign.vaultPolicy.self" . }}
{{- end -}}

{{- define "countersign.vaultPolicy.store" -}}
{{- $kv := .enclave.store.vaultKv -}}
{{- $custody := include "countersign.hasCustody" . -}}
path "{{ $kv.mount }}/data/{{ $kv.prefix }}/{{ .enclave.environment }}/*" {
  capabilities = {{ if $custody }}["create", "update", "read"]{{ else }}["read"]{{ end }}
}
path "{{ $kv.mount }}/metadata/{{ $kv.prefix }}/{{ .enclave.environment }}/*" {
  capabilities = {{ if $custody }}["list", "read", "delete"]{{ else }}["list"]{{ end }}
}
{{- if $custody }}
path "{{ $kv.mount }}/destroy/{{ $kv.prefix }}/{{ .enclave.environment }}/*" {
  capabilities = ["update"]
}
{{- end }}
path "{{ $kv.mount }}/config" {
  capabilities = ["read"]
}
{{ include "countersign.vaultPolicy.self" . }}
{{- end -}}

{{- define "countersign.vaultPolicy.self" -}}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
{{- end -}}

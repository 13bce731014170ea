{{/*
A person's container. It prints when the enclave begins and ceases to be ready; the person's `kubectl exec` runs beside it, with
its uid.
*/}}
{{- define "custody.desk" -}}
{{- $enclave := .enclave -}}
name: {{ .operator.name | quote }}
image: {{ printf "%s@%s" $enclave.image.repository $enclave.image.digest | quote }}
imagePullPolicy: {{ $enclave.image.pullPolicy }}
command: [{{ $enclave.image.binary | quote }}]
args: [health, --watch, --socket, /run/countersign-custody/custody.sock]
resources:
  requests:
    {{- toYaml .resources | nindent 4 }}
  limits:
    {{- toYaml .resources | nindent 4 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ int64 .operator.uid }}
  runAsGroup: {{ int64 .operator.uid }}
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  - name: countersign-custody
    mountPath: /run/countersign-custody
    readOnly: true
{{- end -}}

{{/*
A person's container. It waits; the person's `kubectl exec` runs beside it, with its uid. What waits is a command that reads
a standard input to which nobody writes.
*/}}
{{- define "custody.desk" -}}
{{- $enclave := .enclave -}}
name: {{ .operator.name }}
image: {{ printf "%s@%s" $enclave.image.repository $enclave.image.digest | quote }}
imagePullPolicy: {{ $enclave.image.pullPolicy }}
command: [{{ $enclave.image.binary | quote }}]
args: [payload, decode, --kind, message, --file, "-"]
stdin: true
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

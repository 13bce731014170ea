{{/* The example application. A team's own container needs the enclave's mount and a runAsUser, and nothing else of this. */}}
{{- define "app.container" -}}
{{- $app := .root.Values.app -}}
{{- $probes := dict -}}
{{- if not $app.image.repository }}{{ $probes = include "app.stand-in.probes" .enclave.enclave | fromYaml }}{{ end -}}
name: app
{{- if $app.image.repository }}
image: {{ printf "%s@%s" $app.image.repository $app.image.digest | quote }}
imagePullPolicy: {{ $app.image.pullPolicy }}
{{- with $app.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
{{ include "app.stand-in" .enclave.enclave }}
{{- end }}
{{- with $app.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.livenessProbe | default $probes.livenessProbe }}
livenessProbe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $app.readinessProbe | default $probes.readinessProbe }}
readinessProbe:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $app.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ int64 $app.runAsUser }}
  runAsGroup: {{ int64 $app.runAsGroup }}
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  {{- include "countersign.appMount" .enclave | nindent 2 }}
  {{- with $app.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/*
In place of an application: the enclave's own image, whose program prints when the enclave begins and ceases to be ready.
*/}}
{{- define "app.stand-in" -}}
image: {{ printf "%s@%s" .image.repository .image.digest | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
command: [{{ .image.binary | quote }}]
args: [health, --watch, --socket, /run/countersign/enclave.sock]
{{- end -}}

{{- define "app.stand-in.probes" -}}
{{- $health := list .image.binary "health" "--socket" "/run/countersign/enclave.sock" -}}
livenessProbe:
  exec:
    command: {{ append $health "--liveness" | toJson }}
  timeoutSeconds: 3
readinessProbe:
  exec:
    command: {{ toJson $health }}
  timeoutSeconds: 3
{{- end -}}
